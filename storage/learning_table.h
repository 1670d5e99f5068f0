// What the search loop decided: rewards, learn order, frontier, snapshots.
// Called inside a transaction; see Store for what each promises.
#ifndef LATHE_STORAGE_LEARNING_TABLE_H_
#define LATHE_STORAGE_LEARNING_TABLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

absl::StatusOr<std::vector<v1::Trial>> ReadUnlearned(Database& db, int64_t job);
// Errors: NotFound - a trial is not one of the job's; FailedPrecondition - it
// has not ended, or was learned under another sequence.
absl::Status InsertLearned(Database& db, int64_t job,
                           absl::Span<const Learned> learned);
// Makes the recorded frontier equal to `numbers`.
absl::Status ReplaceFrontier(Database& db, int64_t job,
                             absl::Span<const int64_t> numbers);
absl::StatusOr<std::vector<int64_t>> ReadFrontier(Database& db, int64_t job);

absl::Status ReplaceAgentState(Database& db, int64_t job,
                               int64_t learn_sequence, absl::string_view state);
absl::StatusOr<std::optional<AgentState>> ReadAgentState(Database& db,
                                                         int64_t job);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_LEARNING_TABLE_H_
