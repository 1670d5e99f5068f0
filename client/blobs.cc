#include "client/blobs.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "client/status.h"
#include "client/unary_call.h"
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

absl::StatusOr<v1::WriteStatus> StatusOfWrite(v1::Artifacts::Stub& stub,
                                              const std::string& digest,
                                              const RetryOptions& options) {
  v1::GetWriteStatusRequest request;
  request.set_digest(digest);
  return CallUnary(stub, &v1::Artifacts::Stub::GetWriteStatus, request,
                   options);
}

grpc::Status WriteOnce(v1::Artifacts::Stub& stub, grpc::ClientContext& context,
                       const std::string& digest, absl::string_view bytes,
                       size_t offset) {
  v1::WriteResponse response;
  const auto writer = stub.Write(&context, &response);
  v1::WriteRequest request;
  request.set_digest(digest);
  request.set_offset(static_cast<int64_t>(offset));
  // The first message is sent even for an empty blob.
  bool is_open = true;
  for (size_t begin = offset;
       is_open && (begin == offset || begin < bytes.size());
       begin += kChunkBytes) {
    request.set_data(std::string(bytes.substr(begin, kChunkBytes)));
    // False when the server ended the call early; Finish says why.
    is_open = writer->Write(request);
    request.clear_digest();
    request.clear_offset();
  }
  writer->WritesDone();
  return writer->Finish();
}

// Writes a blob unless the server has it, going on where an earlier attempt
// broke; a first part that is not this blob's is written again.
absl::Status WriteRest(v1::Artifacts::Stub& stub, const std::string& digest,
                       absl::string_view bytes, const RetryOptions& options) {
  Backoff backoff(options);
  const absl::Time give_up = absl::Now() + options.give_up_after;
  bool may_resume = true;
  while (true) {
    LATHE_ASSIGN_OR_RETURN(const v1::WriteStatus arrived,
                           StatusOfWrite(stub, digest, options));
    if (arrived.is_complete()) return absl::OkStatus();
    const auto had = static_cast<size_t>(std::clamp<int64_t>(
        arrived.committed_bytes(), 0, static_cast<int64_t>(bytes.size())));
    const size_t offset = may_resume ? had : 0;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(
        absl::Now() + WithTimeFor(options, bytes.size()).call_timeout));
    absl::Status status =
        FromGrpc(WriteOnce(stub, context, digest, bytes, offset));
    if (offset > 0 &&
        (absl::IsInvalidArgument(status) || absl::IsOutOfRange(status))) {
      may_resume = false;
      continue;
    }
    if (!absl::IsUnavailable(status) || absl::Now() >= give_up) return status;
    absl::SleepFor(backoff.Next());
  }
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
absl::Status DownloadRest(v1::Artifacts::Stub& stub, absl::string_view digest,
                          const RetryOptions& options, std::string& blob) {
  while (true) {
    const size_t before = blob.size();
    // A read of 256 MiB must fit into one attempt's deadline.
    absl::Status status = CallWithRetry(
        WithTimeFor(options, 256 << 20), [&](grpc::ClientContext& context) {
          return ReadRest(stub, context, digest, blob);
        });
    if (status.ok()) return absl::OkStatus();
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
  const absl::Status status = WriteRest(*stub, digest, bytes, options);
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
  std::string arrived;
  return ContinueDownload(channel, digest, arrived, options);
}

absl::StatusOr<std::string> ContinueDownload(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view digest,
    std::string& arrived, const RetryOptions& options) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("blob '", digest, "': not 64 hexadecimal digits"));
  }
  const auto stub = v1::Artifacts::NewStub(channel);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status status = DownloadRest(*stub, digest, options, arrived);
    // Less is stored there than arrived: another blob's bytes.
    if (absl::IsOutOfRange(status) && !arrived.empty()) {
      arrived.clear();
      continue;
    }
    LATHE_RETURN_IF_ERROR(status);
    std::string blob = std::exchange(arrived, "");
    if (Sha256Hex(blob) == digest) return blob;
  }
  return absl::DataLossError(absl::StrCat(
      "blob ", digest, ": the bytes received twice do not have this digest"));
}

}  // namespace lathe
