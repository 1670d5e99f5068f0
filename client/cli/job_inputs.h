// The files of a search, read and checked before anything is sent.
#ifndef LATHE_CLIENT_CLI_JOB_INPUTS_H_
#define LATHE_CLIENT_CLI_JOB_INPUTS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/job_flags.h"
#include "data/data_flags.h"
#include "proto/types.pb.h"

namespace lathe {

// A whole spec with the bytes that its digests name.
struct JobInputs {
  v1::JobSpec spec;
  std::string model_bytes;
  LoadedData data;
};

// Reads model and data and checks what can be checked here: that the model is
// understood, that samples fit its inputs, that labels are among its classes.
//
// Errors:
//   InvalidArgument - a flag out of range.
//   NotFound, PermissionDenied - a file is missing or may not be read.
//   others, with exit code kExitFailed - the model is broken or has operators
//     that are not supported; the data are broken or do not fit the model.
absl::StatusOr<JobInputs> ReadJobInputs(const JobFlags& flags);

// Stores on the server what it does not have yet.
absl::Status UploadInputs(const std::shared_ptr<grpc::Channel>& channel,
                          const JobInputs& inputs);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_JOB_INPUTS_H_
