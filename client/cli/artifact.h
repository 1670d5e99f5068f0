// The finished models of trials, as files.
#ifndef LATHE_CLIENT_CLI_ARTIFACT_H_
#define LATHE_CLIENT_CLI_ARTIFACT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/types.pb.h"

namespace lathe {

enum class ArtifactFormat {
  kOnnx,
  // compressor/packed_model.h; holds the ONNX file.
  kPacked,
};

// Writes the model of `trial`, exactly as it was measured, to `path`; returns
// the bytes of the file.
// Errors: FailedPrecondition - the trial keeps no model; says how to make it;
// those of DownloadBlob, PackModel and WriteFileAtomically.
absl::StatusOr<int64_t> WriteArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const v1::Trial& trial,
    ArtifactFormat format, const std::string& path);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_ARTIFACT_H_
