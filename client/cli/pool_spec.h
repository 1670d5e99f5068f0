// A pool of workers that a scheduler runs.
#ifndef LATHE_CLIENT_CLI_POOL_SPEC_H_
#define LATHE_CLIENT_CLI_POOL_SPEC_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/channel.h"

namespace lathe {

// What `lathe pool up` is told.
struct PoolSpec {
  // 1-40 lower-case letters, digits and hyphens; several pools have several.
  std::string name = "lathe";
  // HOST:PORT of the server, as the workers reach it.
  std::string server;
  // Cores of each worker.
  int threads = 1;
  // Folder on the workers' machines; empty: the worker's default.
  std::string cache;
  // The workers' own, on their machines; a worker is not who starts the pool.
  Credentials credentials;
  // Further arguments of each worker.
  std::vector<std::string> worker_arguments;

  // ---- Slurm; empty: the cluster's default ----
  std::string partition;
  std::string constraint;
  // As sbatch's --time.
  std::string time_limit;
  // So long before its end a worker is told to take nothing more.
  int warn_seconds = 120;
  // Whole nodes, so that nobody disturbs measurements of latency.
  bool is_exclusive = false;
  // Folder for the workers' logs.
  std::string logs;
  // Path of lathe-worker on the nodes.
  std::string worker_program;

  // ---- Kubernetes ----
  std::string image;
  // Empty: kubectl's current one.
  std::string name_space;
};

// "lathe-pool-NAME": what the scheduler calls the pool.
std::string ScheduledName(const std::string& pool);

// Errors: InvalidArgument - names the flag, its value and the rule.
absl::Status CheckPoolName(const std::string& name);
absl::Status CheckPoolSpec(const PoolSpec& spec);

// The worker's arguments, without the program.
std::vector<std::string> WorkerArguments(const PoolSpec& spec);

// One worker as its scheduler knows it.
struct PoolTask {
  // "JOB_INDEX" or a pod's name.
  std::string id;
  // The scheduler's word, in capitals, for instance PENDING or RUNNING.
  std::string state;
  // Empty before it runs.
  std::string node;
  // Told to end after what it runs.
  bool is_draining = false;
  // See Capabilities.placement.
  std::string placement;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_POOL_SPEC_H_
