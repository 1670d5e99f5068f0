#include "client/blobs.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "client/status.h"
#include "proto/artifact.grpc.pb.h"

namespace lathe {
namespace {

// Well below the 4 MiB that a gRPC server takes unless told otherwise.
constexpr size_t kChunkBytes = 1 << 20;

// One second for each MiB: a link slower than that is better reported.
RetryOptions WithTimeFor(RetryOptions options, size_t bytes) {
  options.call_timeout += absl::Seconds(bytes / kChunkBytes);
  return options;
}

absl::StatusOr<bool> IsMissing(v1::Artifacts::Stub& stub,
                               const std::string& digest,
                               const RetryOptions& options) {
  v1::FindMissingRequest request;
  request.add_digests(digest);
  v1::FindMissingResponse response;
  LATHE_RETURN_IF_ERROR(
      CallWithRetry(options, [&](grpc::ClientContext& context) {
        return stub.FindMissing(&context, request, &response);
      }));
  return response.digests_size() > 0;
}

grpc::Status WriteOnce(v1::Artifacts::Stub& stub, grpc::ClientContext& context,
                       const std::string& digest, absl::string_view bytes) {
  v1::WriteResponse response;
  const auto writer = stub.Write(&context, &response);
  v1::WriteRequest request;
  request.set_digest(digest);
  // The first message is sent even for an empty blob.
  bool is_open = true;
  for (size_t begin = 0; is_open && (begin == 0 || begin < bytes.size());
       begin += kChunkBytes) {
    request.set_data(std::string(bytes.substr(begin, kChunkBytes)));
    // False when the server ended the call early; Finish says why.
    is_open = writer->Write(request);
    request.clear_digest();
  }
  writer->WritesDone();
  return writer->Finish();
}

// Appends what the server sends from blob.size() on.
grpc::Status ReadRest(v1::Artifacts::Stub& stub, grpc::ClientContext& context,
                      absl::string_view digest, std::string& blob) {
  v1::ReadRequest request;
  request.set_digest(std::string(digest));
  request.set_offset(static_cast<int64_t>(blob.size()));
  const auto reader = stub.Read(&context, request);
  v1::ReadResponse response;
  while (reader->Read(&response)) {
    if (blob.empty()) {
      // The size is the server's word: reserve no more than a GiB on it.
      const int64_t most = int64_t{1} << 30;
      blob.reserve(std::clamp<int64_t>(response.total_bytes(), 0, most));
    }
    blob += response.data();
  }
  return reader->Finish();
}

// A transfer that moves on may take as many attempts as it needs.
absl::StatusOr<std::string> DownloadOnce(v1::Artifacts::Stub& stub,
                                         absl::string_view digest,
                                         const RetryOptions& options) {
  std::string blob;
  while (true) {
    const size_t before = blob.size();
    // A read of 256 MiB must fit into one attempt's deadline.
    const absl::Status status = CallWithRetry(
        WithTimeFor(options, 256 << 20), [&](grpc::ClientContext& context) {
          return ReadRest(stub, context, digest, blob);
        });
    if (status.ok()) return blob;
    const bool may_go_on =
        absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!may_go_on || blob.size() == before) return status;
  }
}

}  // namespace

absl::StatusOr<std::string> UploadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view bytes,
    const RetryOptions& options) {
  const std::string digest = Sha256Hex(bytes);
  const auto stub = v1::Artifacts::NewStub(channel);
  LATHE_ASSIGN_OR_RETURN(const bool is_missing,
                         IsMissing(*stub, digest, options));
  if (!is_missing) return digest;
  const absl::Status status = CallWithRetry(
      WithTimeFor(options, bytes.size()), [&](grpc::ClientContext& context) {
        return WriteOnce(*stub, context, digest, bytes);
      });
  if (!status.ok()) return Annotate(status, "uploading a blob");
  return digest;
}

absl::StatusOr<std::string> UploadFile(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
    const RetryOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  return UploadBlob(channel, bytes, options);
}

absl::StatusOr<std::string> DownloadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view digest,
    const RetryOptions& options) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("blob '", digest, "': not 64 hexadecimal digits"));
  }
  const auto stub = v1::Artifacts::NewStub(channel);
  for (int attempt = 0; attempt < 2; ++attempt) {
    LATHE_ASSIGN_OR_RETURN(std::string blob,
                           DownloadOnce(*stub, digest, options));
    if (Sha256Hex(blob) == digest) return blob;
  }
  return absl::DataLossError(absl::StrCat(
      "blob ", digest, ": the bytes received twice do not have this digest"));
}

}  // namespace lathe
