// What each caller takes up: jobs, running trials, uploads. Called inside a
// transaction; see Store for what each promises.
#ifndef LATHE_STORAGE_CREATOR_TABLE_H_
#define LATHE_STORAGE_CREATOR_TABLE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

// Errors: FailedPrecondition - the creator has as many as one may.
absl::Status CheckMayCreate(Database& db, const JobCreator& creator);
// Of jobs that have not ended.
absl::StatusOr<std::map<std::string, int64_t>> ReadRunningTrials(Database& db);

absl::Status InsertUpload(Database& db, const Upload& upload);
absl::StatusOr<int64_t> ReadUploadedBytes(Database& db,
                                          absl::string_view creator);
absl::Status EraseUploads(Database& db, absl::Span<const std::string> digests);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_CREATOR_TABLE_H_
