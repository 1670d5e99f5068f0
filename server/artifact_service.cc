#include "server/artifact_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "server/blob_streams.h"
#include "server/errors.h"
#include "server/unary_call.h"

namespace lathe {

grpc::ServerUnaryReactor* ArtifactService::FindMissing(
    grpc::CallbackServerContext* context, const v1::FindMissingRequest* request,
    v1::FindMissingResponse* response) {
  return RunUnary(context, pool_, [this, request, response] {
    FieldChecks checks;
    for (int i = 0; i < request->digests_size() && checks.ok(); ++i) {
      checks.Require(IsSha256Hex(request->digests(i)),
                     absl::StrCat("digests[", i, "]"),
                     "not 64 lower-case hexadecimal digits");
    }
    LATHE_RETURN_IF_ERROR(checks.ToStatus());
    for (const std::string& digest : request->digests()) {
      if (!blobs_.Contains(digest)) response->add_digests(digest);
    }
    return absl::OkStatus();
  });
}

grpc::ServerReadReactor<v1::WriteRequest>* ArtifactService::Write(
    grpc::CallbackServerContext*, v1::WriteResponse* response) {
  return new BlobWriteReactor(&blobs_, &pool_, response);
}

grpc::ServerWriteReactor<v1::ReadResponse>* ArtifactService::Read(
    grpc::CallbackServerContext*, const v1::ReadRequest* request) {
  return new BlobReadReactor(&blobs_, &pool_, *request);
}

}  // namespace lathe
