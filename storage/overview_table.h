// What is asked of all jobs at once, without reading what belongs to each.
// Called inside a transaction; see Store for what each promises.
#ifndef LATHE_STORAGE_OVERVIEW_TABLE_H_
#define LATHE_STORAGE_OVERVIEW_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

absl::StatusOr<JobTotals> ReadJobTotals(Database& db);
absl::StatusOr<std::vector<std::string>> ReadActiveJobs(Database& db);
absl::StatusOr<std::vector<std::string>> ReadJobsEndedBefore(Database& db,
                                                             absl::Time time);
absl::StatusOr<std::optional<std::string>> ReadJobAhead(Database& db,
                                                        int64_t job);
absl::StatusOr<std::map<std::string, CreatorUse>> ReadUseByCreator(
    Database& db);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_OVERVIEW_TABLE_H_
