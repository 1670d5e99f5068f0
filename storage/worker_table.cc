#include "storage/worker_table.h"

#include <cstdint>
#include <vector>

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
      "capabilities = excluded.capabilities "
      "RETURNING id, is_cordoned, is_draining",
      session, absl::ToUnixMicros(now), Blob(capabilities));
  WorkerRecord record;
  if (row.Next()) {
    record.name = WorkerName(row.Int(0));
    record.is_cordoned = row.Int(1) != 0;
    record.is_draining = row.Int(2) != 0;
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

absl::Status UpdateDraining(Database& db, int64_t worker) {
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE workers SET is_draining = 1 WHERE id = ?", worker));
  if (db.changes() == 0) return NoSuch("worker", WorkerName(worker));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> EraseWorkers(
    Database& db, absl::Time before,
    const std::set<std::string>& live_sessions) {
  std::vector<int64_t> gone;
  {
    Statement rows =
        db.Query("SELECT id, session FROM workers WHERE time_us < ?",
                 absl::ToUnixMicros(before));
    while (rows.Next()) {
      if (live_sessions.count(rows.Text(1)) == 0) gone.push_back(rows.Int(0));
    }
    LATHE_RETURN_IF_ERROR(rows.status());
  }
  for (const int64_t worker : gone) {
    LATHE_RETURN_IF_ERROR(db.Run("DELETE FROM workers WHERE id = ?", worker));
  }
  return static_cast<int64_t>(gone.size());
}

}  // namespace lathe::storage
