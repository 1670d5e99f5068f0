// The finished models of trials, as files.
#ifndef LATHE_CLIENT_CLI_ARTIFACT_H_
#define LATHE_CLIENT_CLI_ARTIFACT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/types.pb.h"

namespace lathe {

// The trial with its artifact's digest, waiting up to `patience` for the worker
// to upload it: that follows shortly after the trial's end.
//
// Errors:
//   NotFound - no such trial.
//   FailedPrecondition - the trial keeps no model; says which do.
absl::StatusOr<v1::Trial> AwaitArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& job,
    int64_t number, absl::Duration patience);

enum class ArtifactFormat {
  kOnnx,
  // compressor/packed_model.h; holds the ONNX file.
  kPacked,
};

// Writes the model of `trial`, exactly as it was measured, to `path`; returns
// the bytes of the file.
// Errors: those of DownloadBlob, PackModel and WriteFileAtomically.
absl::StatusOr<int64_t> WriteArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const v1::Trial& trial,
    ArtifactFormat format, const std::string& path);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_ARTIFACT_H_
