// Where a scheduler has put this process, and until when.
#ifndef LATHE_CLIENT_WORKER_PLACEMENT_H_
#define LATHE_CLIENT_WORKER_PLACEMENT_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace lathe {

struct Placement {
  // See Capabilities.placement; empty: started by hand.
  std::string name;
  // When the scheduler ends this process (wall clock); none: not known.
  std::optional<absl::Time> end;

  bool is_scheduled() const { return !name.empty(); }
};

// Reads what Slurm and Lathe's own pool scripts set: SLURM_ARRAY_JOB_ID and
// SLURM_ARRAY_TASK_ID, SLURM_JOB_ID, LATHE_POD (Kubernetes), LATHE_END_TIME or
// SLURM_JOB_END_TIME (seconds since 1970). `variable` looks one up as getenv
// does.
//
// Errors:
//   InvalidArgument - an end that is not a number of seconds.
absl::StatusOr<Placement> ReadPlacement(
    absl::FunctionRef<const char*(const char*)> variable);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_PLACEMENT_H_
