// The bounds that `best` and `export` choose by.
#ifndef LATHE_CLIENT_CLI_BOUND_FLAGS_H_
#define LATHE_CLIENT_CLI_BOUND_FLAGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/search.pb.h"

namespace CLI {
class App;
}

namespace lathe {

// As given on the command line; empty where nothing was given.
struct BoundFlags {
  std::string max_latency;
  std::string max_size;
  std::string min_accuracy;
  bool is_confident = false;

  bool is_any_given() const {
    return !max_latency.empty() || !max_size.empty() || !min_accuracy.empty();
  }
};

// Adds --max-latency, --max-size, --min-accuracy and --confident; `flags` must
// outlive the parse.
void AddBoundFlags(CLI::App& command, BoundFlags& flags);

// Errors: InvalidArgument - a flag that is not of its form; names it.
absl::StatusOr<v1::GetBestConfigurationRequest> MakeBestRequest(
    const std::string& job_name, const BoundFlags& flags);

// The bounds of a job's budget.
v1::GetBestConfigurationRequest RequestOfBudget(const std::string& job_name,
                                                const v1::Budget& budget);

// What of the bounds an agent can heed: all but a least accuracy that is not
// against the original's.
v1::Budget BudgetOfRequest(const v1::GetBestConfigurationRequest& request);

// That nothing meets the bounds: the misses and why, with
// kExitNoConfiguration.
absl::Status NothingMeetsBounds(const v1::BestConfiguration& best);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_BOUND_FLAGS_H_
