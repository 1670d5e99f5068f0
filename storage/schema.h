// The tables of the database and how an older file is brought up to date.
//
// Queries that must stay fast with 100,000 trials name their index (INDEXED
// BY), so that one that no longer fits is an error in every test, not a scan.
#ifndef LATHE_STORAGE_SCHEMA_H_
#define LATHE_STORAGE_SCHEMA_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/sqlite.h"

namespace lathe::storage {

// Script i brings a database from version i to version i + 1. Released scripts
// never change; new ones are added at the end.
absl::Span<const char* const> SchemaScripts();

// The version that a database has after all scripts.
int NewestSchemaVersion();

// The version of a database; 0 for an empty file.
// Errors: FailedPrecondition - it holds another program's tables.
absl::StatusOr<int> SchemaVersion(Database& db);

// Runs the scripts that `db` lacks, each in a transaction of its own, after
// copying a database that is not empty to `<path>.schema-<its version>` (an
// equal copy of an earlier, interrupted run is kept).
//
// Errors:
//   FailedPrecondition - the database is of a newer version or another
//     program's; nothing was changed.
//   ResourceExhausted - disk full.
absl::Status Migrate(Database& db, absl::Span<const char* const> scripts);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_SCHEMA_H_
