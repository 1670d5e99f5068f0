#include "storage/creator_table.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe::storage {

absl::Status CheckMayCreate(Database& db, const JobCreator& creator) {
  if (creator.most_active_jobs == 0) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(
      const std::optional<int64_t> active,
      db.QueryInt("SELECT count(*) FROM jobs INDEXED BY jobs_active "
                  "WHERE creator = ? AND state IN (1, 2, 3)",
                  creator.name));
  if (active.value_or(0) < creator.most_active_jobs) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      *active, " jobs of yours have not ended, of the ",
      creator.most_active_jobs,
      " that one caller may have; wait for one to end, or cancel one"));
}

absl::StatusOr<std::map<std::string, int64_t>> ReadRunningTrials(Database& db) {
  Statement rows = db.Query(
      "SELECT j.creator, sum(c.leased) FROM jobs j INDEXED BY jobs_active "
      "JOIN counts c ON c.job = j.id WHERE j.state IN (1, 2, 3) "
      "GROUP BY j.creator");
  std::map<std::string, int64_t> running;
  while (rows.Next()) running[rows.Text(0)] = rows.Int(1);
  LATHE_RETURN_IF_ERROR(rows.status());
  return running;
}

absl::Status InsertUpload(Database& db, const Upload& upload) {
  return db.Run(
      "INSERT OR IGNORE INTO uploads (digest, creator, bytes) VALUES (?, ?, ?)",
      upload.digest, upload.creator, upload.bytes);
}

absl::StatusOr<int64_t> ReadUploadedBytes(Database& db,
                                          absl::string_view creator) {
  LATHE_ASSIGN_OR_RETURN(
      const std::optional<int64_t> bytes,
      db.QueryInt("SELECT ifnull(sum(bytes), 0) FROM uploads "
                  "WHERE creator = ?",
                  creator));
  return bytes.value_or(0);
}

absl::Status EraseUploads(Database& db, absl::Span<const std::string> digests) {
  for (const std::string& digest : digests) {
    LATHE_RETURN_IF_ERROR(
        db.Run("DELETE FROM uploads WHERE digest = ?", digest));
  }
  return absl::OkStatus();
}

}  // namespace lathe::storage
