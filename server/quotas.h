// What one caller may take up of a server.
#ifndef LATHE_SERVER_QUOTAS_H_
#define LATHE_SERVER_QUOTAS_H_

#include <cstdint>

namespace lathe {

// For each caller, told apart by the names of their credentials; where none are
// asked for, all callers are one. 0: no limit.
struct Quotas {
  // Jobs that have not ended; more are refused.
  int64_t most_active_jobs = 0;
  // Trials of the caller's jobs that run at once; more wait.
  int64_t most_running_trials = 0;
  // Of blobs that the caller brought first; more are refused. What workers
  // bring (finished models, statistics) is charged to nobody.
  int64_t most_blob_bytes = 0;
};

}  // namespace lathe

#endif  // LATHE_SERVER_QUOTAS_H_
