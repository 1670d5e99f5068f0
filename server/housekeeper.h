// Removes what nobody needs any more.
#ifndef LATHE_SERVER_HOUSEKEEPER_H_
#define LATHE_SERVER_HOUSEKEEPER_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/frontier_tracker.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

struct RetentionRules {
  // Jobs that ended longer ago are deleted; unset: none is.
  std::optional<absl::Duration> ended_jobs;
  // Blobs that no job refers to stay for so long after they were written, or
  // asked for by FindMissing: a client uploads first and makes its job then.
  absl::Duration unused_blobs = absl::Hours(24);
};

// Thread-safe.
class Housekeeper {
 public:
  // All must outlive this.
  Housekeeper(Store* store, BlobStore* blobs, FrontierTracker* frontiers,
              const RetentionRules& rules)
      : store_(*store), blobs_(*blobs), frontiers_(*frontiers), rules_(rules) {}

  // Deletes old jobs, then garbage. Errors: the store's.
  absl::Status Tidy(absl::Time now);

  // `now` is the wall clock's, which dates files. Errors: the store's.
  absl::StatusOr<RemovedBlobs> CollectGarbage(absl::Time now, bool is_dry_run);

 private:
  absl::Status DeleteOldJobs(absl::Time now);

  Store& store_;
  BlobStore& blobs_;
  FrontierTracker& frontiers_;
  const RetentionRules rules_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_HOUSEKEEPER_H_
