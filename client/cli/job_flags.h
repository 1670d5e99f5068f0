// The flags of a search that `submit` and `search` share.
#ifndef LATHE_CLIENT_CLI_JOB_FLAGS_H_
#define LATHE_CLIENT_CLI_JOB_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data_flags.h"
#include "proto/types.pb.h"

namespace CLI {
class App;
}

namespace lathe {

// As given on the command line; texts are empty where nothing was given.
struct JobFlags {
  std::string model_path;
  DataFlags data;
  int64_t trials = 200;
  std::string agent = "rl";
  std::vector<std::string> objectives;
  std::string max_drop;
  std::string max_latency;
  std::string max_size;
  int32_t threads = 1;
  int32_t batch = 1;
  int64_t seed = 0;
  std::string display_name;
  std::vector<std::string> warm_start_jobs;
  v1::CompressionSettings compression;
  std::optional<int64_t> sensitivity_samples;
  // See JobSpec.fidelity.
  std::string fidelity = "full";
};

// Adds --model, the data flags and the rest; `flags` must outlive the parse.
void AddJobFlags(CLI::App& command, JobFlags& flags);

// Everything of the spec but the digests of model and data. A bound on the size
// makes it an objective unless --objective says otherwise, because only
// members of the frontier keep their models.
//
// Errors: InvalidArgument - a flag that is not of its form; names it.
absl::StatusOr<v1::JobSpec> MakeSpec(const JobFlags& flags);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_JOB_FLAGS_H_
