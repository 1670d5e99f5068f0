#include "server/artifact_service.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/unary_call.h"

namespace lathe {
namespace {

constexpr int kMostDigests = 10'000;

absl::Status CheckDigests(const v1::FindMissingRequest& request) {
  FieldChecks checks;
  checks.Require(request.digests_size() <= kMostDigests, "digests",
                 absl::StrCat(request.digests_size(), " digests, more than ",
                              kMostDigests));
  for (int i = 0; i < request.digests_size() && checks.ok(); ++i) {
    checks.Require(IsSha256Hex(request.digests(i)),
                   absl::StrCat("digests[", i, "]"),
                   "not 64 lower-case hexadecimal digits");
  }
  return checks.ToStatus();
}

}  // namespace

grpc::ServerUnaryReactor* ArtifactService::FindMissing(
    grpc::CallbackServerContext* context, const v1::FindMissingRequest* request,
    v1::FindMissingResponse* response) {
  return RunUnary(
      context, *parts_.gate, "Artifacts.FindMissing", request,
      [this, context, request, response](const Caller& caller) {
        LATHE_RETURN_IF_ERROR(CheckDigests(*request));
        // What a worker asks for it is about to write.
        LATHE_RETURN_IF_ERROR(parts_.access->CheckWrite(*context, caller));
        for (const std::string& digest : request->digests()) {
          if (!parts_.blobs->Touch(digest)) response->add_digests(digest);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ArtifactService::GetWriteStatus(
    grpc::CallbackServerContext* context,
    const v1::GetWriteStatusRequest* request, v1::WriteStatus* response) {
  return RunUnary(
      context, *parts_.gate, "Artifacts.GetWriteStatus", request,
      [this, context, request, response](const Caller& caller) {
        FieldChecks checks;
        checks.Require(IsSha256Hex(request->digest()), "digest",
                       "not 64 lower-case hexadecimal digits");
        LATHE_RETURN_IF_ERROR(checks.ToStatus());
        LATHE_RETURN_IF_ERROR(parts_.access->CheckWrite(*context, caller));
        const bool is_complete = parts_.blobs->Touch(request->digest());
        response->set_is_complete(is_complete);
        response->set_committed_bytes(
            is_complete ? parts_.blobs->Size(request->digest()).value_or(0)
                        : parts_.blobs->PartialBytes(request->digest()));
        return absl::OkStatus();
      });
}

grpc::ServerReadReactor<v1::WriteRequest>* ArtifactService::Write(
    grpc::CallbackServerContext* context, v1::WriteResponse* response) {
  return new BlobWriteReactor(context, parts_, response);
}

grpc::ServerWriteReactor<v1::ReadResponse>* ArtifactService::Read(
    grpc::CallbackServerContext* context, const v1::ReadRequest* request) {
  return new BlobReadReactor(context, parts_, *request);
}

}  // namespace lathe
