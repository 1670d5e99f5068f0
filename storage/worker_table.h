// Rows of workers. Called inside a transaction; see Store for what each
// promises.
#ifndef LATHE_STORAGE_WORKER_TABLE_H_
#define LATHE_STORAGE_WORKER_TABLE_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

absl::StatusOr<WorkerRecord> UpsertWorker(Database& db,
                                          absl::string_view session,
                                          const v1::Capabilities& capabilities,
                                          absl::Time now);
absl::Status UpdateCordoned(Database& db, int64_t worker, bool is_cordoned);
absl::Status UpdateDraining(Database& db, int64_t worker);
absl::StatusOr<int64_t> EraseWorkers(
    Database& db, absl::Time before,
    const std::set<std::string>& live_sessions);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_WORKER_TABLE_H_
