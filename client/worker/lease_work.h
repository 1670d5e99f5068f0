// One lease from its grant to its completion.
#ifndef LATHE_CLIENT_WORKER_LEASE_WORK_H_
#define LATHE_CLIENT_WORKER_LEASE_WORK_H_

#include <optional>
#include <string>

#include "client/worker/blob_cache.h"
#include "client/worker/evaluator_process.h"
#include "client/worker/server_link.h"
#include "client/worker/worker_control.h"
#include "proto/types.pb.h"

namespace lathe {

// What a worker works with; all outlive the work.
struct WorkPlace {
  ServerLink* link = nullptr;
  WorkerControl* control = nullptr;
  BlobCache* blobs = nullptr;
  EvaluatorProcess* evaluator = nullptr;
  // Existing folder for files of evaluations; emptied after each.
  std::string output_folder;
  std::optional<int> pinned_core;
};

// Brings the blobs, has the trial evaluated, uploads its model when the server
// asks for it, and completes the trial. Returns when the server has answered,
// however long it is away, or the work was stopped: then the lease is given
// back unless it is lost already.
void RunLease(const WorkPlace& place, const v1::Lease& lease);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_LEASE_WORK_H_
