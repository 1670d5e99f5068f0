// What a lathe-worker does all day: lease a trial, have it evaluated, report.
#ifndef LATHE_CLIENT_WORKER_WORKER_LOOP_H_
#define LATHE_CLIENT_WORKER_WORKER_LOOP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/channel.h"
#include "client/worker/placement.h"
#include "proto/worker.pb.h"

namespace lathe {

struct WorkerOptions {
  // "HOST:PORT".
  std::string server;
  Credentials credentials;
  // Threads that this worker may use; part of what it tells the server.
  int threads = 1;
  // Holds blobs by digest, and the files of evaluations; made when missing.
  // Several workers may share it.
  std::string cache_folder;
  // Blobs that were not used for longest go when the cache is larger.
  int64_t most_cache_bytes = int64_t{20} << 30;
  // Core to pin to while latency is measured; none: not pinned.
  std::optional<int> pinned_core;
  // Ends, releasing its lease, when the process that started it ends.
  bool exits_with_parent = false;
  // Who started it, and until when it may work.
  Placement placement;
  // Program and arguments of the evaluating child process. Empty: this very
  // program with the argument "evaluate".
  std::vector<std::string> evaluator_command;
  // An evaluation that takes longer ends as TIMEOUT.
  absl::Duration evaluation_time_limit = absl::Minutes(30);
  // One that takes more ends as OUT_OF_MEMORY (its code, libraries and stacks
  // apart); 0: what the machine has, or the worker's control group.
  int64_t evaluation_memory_bytes = 0;
};

// Works until SIGTERM, SIGINT or the placement's end is near (stops the
// evaluation, gives its lease back) or SIGUSR1 or a drain by the server
// (finishes what runs, leases nothing more), and then returns OK. Reconnects
// for ever while the server is away; meanwhile an evaluation goes on for as
// long as the server lets leases live, and is completed under its fence when
// the server is back.
//
// Blocks those signals in the calling thread, which should be the only one.
//
// Errors:
//   InvalidArgument - an option is out of range.
//   NotFound, PermissionDenied, ... - the cache folder cannot be made.
//   Unauthenticated, PermissionDenied, Unimplemented - the server does not
//     take this worker.
absl::Status RunWorker(const WorkerOptions& options);

// The same as a worker of the given capabilities, which RunWorker probes.
// `capabilities.pid` and `host` are filled in.
absl::Status RunWorkerAs(const WorkerOptions& options,
                         v1::Capabilities capabilities);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_WORKER_LOOP_H_
