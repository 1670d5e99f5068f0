// Blobs to and from the server, named by their SHA-256.
#ifndef LATHE_CLIENT_BLOBS_H_
#define LATHE_CLIENT_BLOBS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/retry.h"

namespace lathe {

// Stores `bytes` on the server unless it has them, and returns their digest.
// A broken transfer goes on where it stopped. Each attempt's deadline is
// options.call_timeout plus a second for every MiB.
//
// Errors:
//   Unavailable, DeadlineExceeded - the server did not answer.
//   ResourceExhausted - its disk is full, or the blob is over its limit.
absl::StatusOr<std::string> UploadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view bytes,
    const RetryOptions& options = {});

// UploadBlob of a file's bytes, of which never more than some MiB are in
// memory. Errors: also NotFound, PermissionDenied, ... of the file.
absl::StatusOr<std::string> UploadFile(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
    const RetryOptions& options = {});

// DownloadBlob into an open file, going on behind the bytes that it has; what
// arrived stays there when it fails, for the next time, unless it is not the
// blob's. Errors: also ResourceExhausted, ... of the file.
absl::Status DownloadToFile(const std::shared_ptr<grpc::Channel>& channel,
                            absl::string_view digest, int fd,
                            const RetryOptions& options = {});

// The bytes of a blob, verified. A broken transfer goes on where it stopped;
// bytes that do not have the digest are fetched once more from the start.
//
// Errors:
//   InvalidArgument - `digest` is not a digest.
//   NotFound - the server has no such blob.
//   DataLoss - the bytes do not have the digest.
//   Unavailable, DeadlineExceeded - the server did not answer.
absl::StatusOr<std::string> DownloadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view digest,
    const RetryOptions& options = {});

}  // namespace lathe

#endif  // LATHE_CLIENT_BLOBS_H_
