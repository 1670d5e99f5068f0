#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "experiments/load/bare.h"
#include "storage/sqlite.h"

namespace lathe {

absl::StatusOr<nlohmann::json> MeasureBareCommits(const std::string& folder,
                                                  int batch, int row_bytes,
                                                  absl::Duration duration) {
  LATHE_RETURN_IF_ERROR(MakeFolders(folder));
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::Database> db,
      storage::Database::Open(absl::StrCat(folder, "/bare.db"),
                              storage::Database::Mode::kCreate));
  LATHE_RETURN_IF_ERROR(db->RunScript(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
      "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, bytes BLOB);"));
  const storage::Blob bytes(std::string(row_bytes, 'x'));
  const absl::Time start = absl::Now();
  int64_t commits = 0;
  while (absl::Now() - start < duration) {
    LATHE_RETURN_IF_ERROR(db->Run("BEGIN IMMEDIATE"));
    for (int i = 0; i < batch; ++i) {
      LATHE_RETURN_IF_ERROR(db->Run("INSERT INTO t (bytes) VALUES (?)", bytes));
    }
    LATHE_RETURN_IF_ERROR(db->Run("COMMIT"));
    ++commits;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return nlohmann::json{{"batch", batch},
                        {"rows_per_second", commits * batch / seconds},
                        {"commits_per_second", commits / seconds}};
}

}  // namespace lathe
