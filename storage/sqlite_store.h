// The Store on SQLite.
#ifndef LATHE_STORAGE_SQLITE_STORE_H_
#define LATHE_STORAGE_SQLITE_STORE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace lathe {

// What one group commit took in.
struct CommitReport {
  int writes = 0;
  absl::Duration duration;
};

struct StoreOptions {
  // Holds `lathe.db` and `lock`; made when missing. On a local disk.
  std::string folder;
  // Trials that run at once of one creator's jobs; 0: any number.
  int64_t most_running_trials = 0;
  // Neither makes a database nor changes its schema.
  bool is_for_inspection = false;
  // Called on the writing thread after every commit; returns at once.
  std::function<void(const CommitReport&)> on_commit;
};

// Opens or makes the database of a state folder, brings an older schema up to
// date (after a copy beside it, `lathe.db.schema-<version>`), and keeps the
// folder locked until the store is destroyed.
//
// Every write waits for the disk; writes of several threads share one commit.
// When the disk refuses a sync, what it holds is unknown: the process ends at
// once with status 74, and the next start recovers every answered write.
//
// Errors:
//   FailedPrecondition - the folder is used by another process or lies on a
//     network file system, or the database is of a newer version or another
//     program's.
//   DataLoss - the database file is malformed.
//   NotFound, PermissionDenied, ResourceExhausted, Unavailable - the folder
//     cannot be made or written.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options);

// Copies a database made by Store::Backup into a state folder that has none, as
// its database.
//
// Errors:
//   AlreadyExists - the folder has a database.
//   DataLoss - the copy is damaged; FailedPrecondition - it is another
//     program's, or of a newer version, or the folder is in use.
//   NotFound, ResourceExhausted.
absl::Status RestoreStore(const std::string& backup_path,
                          const std::string& folder);

}  // namespace lathe

#endif  // LATHE_STORAGE_SQLITE_STORE_H_
