// What must hold in a database whatever happened to the processes.
#ifndef LATHE_STORAGE_INTEGRITY_H_
#define LATHE_STORAGE_INTEGRITY_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

// Runs SQLite's own checks, then one query for each rule: one result a trial,
// at most one active attempt, counts that count, events without gaps, learn
// sequences without gaps, no more proposals than the job's trials. Every row
// that breaks a rule is a problem of one line. Inside a transaction.
absl::StatusOr<IntegrityReport> CheckDatabase(Database& db);

// SQLite's quick check alone. Errors: DataLoss.
absl::Status CheckIsSound(Database& db);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_INTEGRITY_H_
