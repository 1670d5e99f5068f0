// Rows of trials and their measurements. Called inside a transaction; see Store
// for what each promises.
#ifndef LATHE_STORAGE_TRIAL_TABLE_H_
#define LATHE_STORAGE_TRIAL_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "storage/event_table.h"
#include "storage/resource_names.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

// SELECT kTrialColumns kTrialResults FROM trials t kTrialJoins gives rows for
// TrialOf; so does kTrialColumns kNoTrialResults, without the joins, of trials
// that have not ended.
extern const char kTrialColumns[];
extern const char kTrialResults[];
extern const char kNoTrialResults[];
extern const char kTrialJoins[];
// The trial whose columns begin at `first_column`.
v1::Trial TrialOf(Statement& row, int first_column = 0);

absl::StatusOr<std::vector<v1::Trial>> InsertTrials(
    Database& db, int64_t job, absl::Span<const v1::Proposal> proposals,
    absl::Time now);

// Errors: NotFound.
absl::StatusOr<v1::Trial> ReadTrial(Database& db, const TrialId& trial);
// The trial's row id. Errors: NotFound.
absl::StatusOr<int64_t> ReadTrialRow(Database& db, const TrialId& trial);
// Which trial it is, by its name.
TrialId IdOf(const v1::Trial& trial);

absl::StatusOr<Page<v1::Trial>> ReadTrials(Database& db, int64_t job,
                                           int page_size,
                                           absl::string_view page_token);
// Errors: NotFound - one of them.
absl::StatusOr<std::vector<v1::Trial>> ReadTheseTrials(
    Database& db, int64_t job, absl::Span<const int64_t> numbers);
absl::StatusOr<std::vector<v1::Trial>> ReadAllTrials(Database& db, int64_t job);

// Digest of everything on which a measurement depends.
// See Store::FindPlan; `first` names the job and the first number.
absl::StatusOr<PlanSearch> FindTrialOfPlan(Database& db, const TrialId& first,
                                           absl::string_view plan_digest);

std::string ReuseKey(const v1::JobSpec& spec, absl::string_view plan_digest,
                     const v1::HardwareProfile& profile,
                     absl::string_view evaluator_version);
absl::StatusOr<std::vector<std::optional<v1::Trial>>> FindByReuseKeys(
    Database& db, absl::Span<const std::string> reuse_keys);
absl::StatusOr<v1::Trial> CopyMeasurement(Database& db, const TrialId& trial,
                                          const v1::Trial& source,
                                          absl::Time now);

// How a trial ends, or becomes PENDING again.
struct TrialEnd {
  int64_t row = 0;
  v1::TrialState from = v1::TRIAL_LEASED;
  v1::TrialState to = v1::TRIAL_STATE_UNSPECIFIED;
  absl::string_view reason;
};

// Changes the trial's row, and `trial` likewise, and records the change.
absl::Status EndTrial(Database& db, const TrialEnd& end, absl::Time now,
                      ChangeLog& log, v1::Trial& trial);
// Stores what was measured of a job with that spec, under its reuse key, and
// sets it in `trial`.
absl::Status InsertMeasurement(Database& db, int64_t row,
                               const v1::JobSpec& spec,
                               const v1::Measurement& measurement,
                               v1::Trial& trial);
// Sets the artifact and notes that the job refers to it.
absl::Status SetArtifact(Database& db, const TrialId& trial,
                         absl::string_view digest);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_TRIAL_TABLE_H_
