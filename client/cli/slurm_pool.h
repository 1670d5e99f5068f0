// Pools of workers under Slurm: job arrays of long-lived single-node tasks.
#ifndef LATHE_CLIENT_CLI_SLURM_POOL_H_
#define LATHE_CLIENT_CLI_SLURM_POOL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cli/pool_spec.h"

namespace lathe {

// The batch script of one worker of the pool. All options but the array's size
// stand in it, so that Slurm's copy of it is all that is needed to grow the
// pool.
std::string SlurmScript(const PoolSpec& spec);

// `tasks` in the order in which a shrinking pool ends them: those that do not
// run yet first, then those at the end of the list. Draining ones are left out:
// they end anyway.
std::vector<PoolTask> InOrderOfEnding(absl::Span<const PoolTask> tasks);

// Errors of all below: Unavailable - Slurm's commands are not installed here,
// or its controller does not answer; InvalidArgument - it refuses.

// Starts `workers` tasks of a script; returns the array job.
absl::StatusOr<std::string> SubmitSlurm(const std::string& script, int workers);

// The user's tasks of the pool that have not ended.
absl::StatusOr<std::vector<PoolTask>> SlurmTasks(const std::string& pool);

// The script that a task was started with.
absl::StatusOr<std::string> SlurmScriptOf(const PoolTask& task);

// Ends tasks at once; what they run is given back.
absl::Status EndSlurmTasks(absl::Span<const PoolTask> tasks);

// Ends tasks after what they run.
absl::Status DrainSlurmTasks(absl::Span<const PoolTask> tasks);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_SLURM_POOL_H_
