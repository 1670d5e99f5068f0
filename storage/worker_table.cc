#include "storage/worker_table.h"

#include "base/status.h"
#include "storage/resource_names.h"

namespace lathe::storage {

absl::StatusOr<WorkerRecord> UpsertWorker(Database& db,
                                          absl::string_view session,
                                          const v1::Capabilities& capabilities,
                                          absl::Time now) {
  Statement row = db.Query(
      "INSERT INTO workers (session, time_us, capabilities) VALUES (?, ?, ?) "
      "ON CONFLICT (session) DO UPDATE SET time_us = excluded.time_us, "
      "capabilities = excluded.capabilities RETURNING id, is_cordoned",
      session, absl::ToUnixMicros(now), Blob(capabilities));
  WorkerRecord record;
  if (row.Next()) {
    record.name = WorkerName(row.Int(0));
    record.is_cordoned = row.Int(1) != 0;
  }
  while (row.Next()) {
  }
  LATHE_RETURN_IF_ERROR(row.status());
  return record;
}

absl::Status UpdateCordoned(Database& db, int64_t worker, bool is_cordoned) {
  LATHE_RETURN_IF_ERROR(db.Run(
      "UPDATE workers SET is_cordoned = ? WHERE id = ?", is_cordoned, worker));
  if (db.changes() == 0) return NoSuch("worker", WorkerName(worker));
  return absl::OkStatus();
}

}  // namespace lathe::storage
