// Attempts: who runs which trial under which fence, and how it ended. Called
// inside a transaction; see Store for what each promises.
#ifndef LATHE_STORAGE_LEASE_TABLE_H_
#define LATHE_STORAGE_LEASE_TABLE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "storage/resource_names.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

absl::StatusOr<std::vector<std::vector<GrantedLease>>> StartAttemptsForAll(
    Database& db, absl::Span<const LeaseWish> wishes,
    int64_t most_running_trials, absl::Time now);
absl::StatusOr<AttemptRecord> ReadAttempt(Database& db, int64_t fence);
absl::StatusOr<std::vector<ActiveAttempt>> ReadActiveAttempts(Database& db);
absl::Status AbandonAttempts(Database& db, absl::Span<const int64_t> fences,
                             absl::string_view why, absl::Time now);
absl::StatusOr<std::vector<absl::StatusOr<CompletionResult>>> FinishAttempts(
    Database& db, absl::Span<const Completion> completions, absl::Time now);
absl::StatusOr<std::vector<EndedAttempt>> ReadEndedAttempts(
    Database& db, const TrialId& trial);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_LEASE_TABLE_H_
