// Removes what nobody needs any more.
#ifndef LATHE_SERVER_HOUSEKEEPER_H_
#define LATHE_SERVER_HOUSEKEEPER_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/frontier_tracker.h"
#include "server/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

struct RetentionRules {
  // Jobs that ended longer ago are deleted; unset: none is.
  std::optional<absl::Duration> ended_jobs;
  // Blobs that no job refers to stay for so long after they were written, or
  // asked for by FindMissing: a client uploads first and makes its job then.
  absl::Duration unused_blobs = absl::Hours(24);
  // Workers that registered longer ago and are gone are forgotten.
  absl::Duration gone_workers = absl::Hours(30 * 24);
  // Frontiers in memory that nobody used for longer are read again when they
  // are.
  absl::Duration unused_frontiers = absl::Hours(1);
};

// Thread-safe.
class Housekeeper {
 public:
  // All must outlive this.
  Housekeeper(Store* store, BlobStore* blobs, FrontierTracker* frontiers,
              WorkerRegistry* workers, const RetentionRules& rules)
      : store_(*store),
        blobs_(*blobs),
        frontiers_(*frontiers),
        workers_(*workers),
        rules_(rules) {}

  // Deletes old jobs, then garbage, and forgets workers that are gone and
  // frontiers that nobody uses. `steady_now` is SteadyNow's. Errors: the
  // store's.
  absl::Status Tidy(absl::Time now, absl::Time steady_now);

  // `now` is the wall clock's, which dates files. Errors: the store's.
  absl::StatusOr<RemovedBlobs> CollectGarbage(absl::Time now, bool is_dry_run);

 private:
  absl::Status DeleteOldJobs(absl::Time now);

  Store& store_;
  BlobStore& blobs_;
  FrontierTracker& frontiers_;
  WorkerRegistry& workers_;
  const RetentionRules rules_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_HOUSEKEEPER_H_
