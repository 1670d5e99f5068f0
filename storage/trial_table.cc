#include "storage/trial_table.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "proto/names.h"
#include "proto/plan.h"
#include "storage/job_table.h"

namespace lathe::storage {

const char kTrialColumns[] =
    "t.job, t.number, t.state, t.attempts, t.learn_sequence, t.create_time_us,"
    " t.end_time_us, t.plan_digest, t.state_reason, t.reused_from, "
    "t.artifact_digest, t.proposal";
const char kTrialResults[] = ", m.measurement, r.reward";
const char kNoTrialResults[] = ", NULL, NULL";
const char kTrialJoins[] =
    "LEFT JOIN measurements m ON m.trial = t.id "
    "LEFT JOIN rewards r ON r.trial = t.id";

namespace {

constexpr absl::string_view kTrialsKind = "trials";
constexpr int kMostPageRows = 1000;

enum Column {
  kJob,
  kNumber,
  kState,
  kAttempts,
  kLearnSequence,
  kCreateTime,
  kEndTime,
  kPlanDigest,
  kReason,
  kReusedFrom,
  kArtifact,
  kProposal,
  kMeasurement,
  kReward
};

std::string SelectTrials(absl::string_view where) {
  return absl::StrCat("SELECT ", kTrialColumns, kTrialResults,
                      " FROM trials t ", kTrialJoins, " WHERE ", where);
}

// The first of the numbers that `count` new trials get.
absl::StatusOr<int64_t> TakeNumbers(Database& db, int64_t job, int64_t count) {
  LATHE_ASSIGN_OR_RETURN(
      std::optional<int64_t> next,
      db.QueryInt("UPDATE counts SET next_number = next_number + ? "
                  "WHERE job = ? RETURNING next_number",
                  count, job));
  if (!next.has_value()) return NoSuch("job", JobName(job));
  return *next - count;
}

absl::StatusOr<v1::Trial> InsertTrial(Database& db, const TrialId& id,
                                      const v1::Proposal& proposal,
                                      absl::Time now, ChangeLog& log) {
  v1::Trial trial;
  trial.set_name(TrialName(id));
  trial.set_number(id.number);
  trial.set_state(v1::TRIAL_PENDING);
  *trial.mutable_create_time() = TimestampOf(absl::ToUnixMicros(now));
  trial.set_plan_digest(PlanDigest(proposal.plan()));
  *trial.mutable_proposal() = proposal;
  LATHE_RETURN_IF_ERROR(db.Run(
      "INSERT INTO trials (job, number, state, create_time_us, plan_digest, "
      "proposal) VALUES (?, ?, ?, ?, ?, ?)",
      id.job, id.number, int{trial.state()}, absl::ToUnixMicros(now),
      trial.plan_digest(), Blob(proposal)));
  TrialChange change;
  change.trial = id;
  change.to = v1::TRIAL_PENDING;
  LATHE_RETURN_IF_ERROR(log.Record(change, now).status());
  return trial;
}

// Without length the fields could run into each other.
void AddField(absl::string_view field, DigestBuilder* digest) {
  digest->Add(absl::StrCat(field.size(), ":"));
  digest->Add(field);
}

absl::StatusOr<std::optional<v1::Trial>> FindByReuseKey(
    Database& db, const std::string& reuse_key) {
  Statement row = db.Query(
      SelectTrials("t.id = (SELECT trial FROM measurements "
                   "INDEXED BY measurements_by_key WHERE reuse_key = ? "
                   "ORDER BY trial LIMIT 1)"),
      reuse_key);
  std::optional<v1::Trial> trial;
  if (row.Next()) trial = TrialOf(row);
  LATHE_RETURN_IF_ERROR(row.status());
  return trial;
}

}  // namespace

v1::Trial TrialOf(Statement& row, int first_column) {
  const auto at = [first_column](Column column) {
    return first_column + column;
  };
  v1::Trial trial;
  trial.set_name(TrialName({row.Int(at(kJob)), row.Int(at(kNumber))}));
  trial.set_number(row.Int(at(kNumber)));
  trial.set_state(static_cast<v1::TrialState>(row.Int(at(kState))));
  trial.set_attempts(static_cast<int32_t>(row.Int(at(kAttempts))));
  trial.set_learn_sequence(row.Int(at(kLearnSequence)));
  *trial.mutable_create_time() = TimestampOf(row.Int(at(kCreateTime)));
  if (!row.IsNull(at(kEndTime))) {
    *trial.mutable_end_time() = TimestampOf(row.Int(at(kEndTime)));
  }
  trial.set_plan_digest(row.Text(at(kPlanDigest)));
  trial.set_state_reason(row.Text(at(kReason)));
  trial.set_reused_from(row.Text(at(kReusedFrom)));
  trial.set_artifact_digest(row.Text(at(kArtifact)));
  row.Parse(at(kProposal), trial.mutable_proposal());
  if (!row.IsNull(at(kMeasurement))) {
    row.Parse(at(kMeasurement), trial.mutable_measurement());
  }
  if (!row.IsNull(at(kReward))) {
    row.Parse(at(kReward), trial.mutable_reward());
  }
  return trial;
}

absl::StatusOr<std::vector<v1::Trial>> InsertTrials(
    Database& db, int64_t job, absl::Span<const v1::Proposal> proposals,
    absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(v1::JobState state, ReadJobState(db, job));
  if (IsFinal(state)) {
    return absl::FailedPreconditionError(
        absl::StrCat(JobName(job), " has ended (", JobStateName(state),
                     ") and takes no more trials"));
  }
  LATHE_ASSIGN_OR_RETURN(
      int64_t first,
      TakeNumbers(db, job, static_cast<int64_t>(proposals.size())));
  std::vector<v1::Trial> trials;
  ChangeLog log(&db);
  for (size_t i = 0; i < proposals.size(); ++i) {
    const TrialId id{job, first + static_cast<int64_t>(i)};
    LATHE_ASSIGN_OR_RETURN(v1::Trial trial,
                           InsertTrial(db, id, proposals[i], now, log));
    trials.push_back(std::move(trial));
  }
  LATHE_RETURN_IF_ERROR(log.Finish());
  return trials;
}

absl::StatusOr<v1::Trial> ReadTrial(Database& db, const TrialId& id) {
  Statement row =
      db.Query(SelectTrials("t.job = ? AND t.number = ?"), id.job, id.number);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("trial", TrialName(id));
  }
  v1::Trial trial = TrialOf(row);
  LATHE_RETURN_IF_ERROR(row.status());
  return trial;
}

absl::StatusOr<int64_t> ReadTrialRow(Database& db, const TrialId& trial) {
  LATHE_ASSIGN_OR_RETURN(
      std::optional<int64_t> row,
      db.QueryInt("SELECT id FROM trials WHERE job = ? AND number = ?",
                  trial.job, trial.number));
  if (!row.has_value()) return NoSuch("trial", TrialName(trial));
  return *row;
}

TrialId IdOf(const v1::Trial& trial) {
  const absl::StatusOr<TrialId> id = ParseTrialName(trial.name());
  assert(id.ok());
  return *id;
}

absl::StatusOr<Page<v1::Trial>> ReadTrials(Database& db, int64_t job,
                                           int page_size,
                                           absl::string_view page_token) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  const int rows_wanted = std::clamp(page_size, 1, kMostPageRows);
  LATHE_ASSIGN_OR_RETURN(int64_t from,
                         ParsePageToken(kTrialsKind, page_token, /*first=*/0));
  Statement rows = db.Query(
      SelectTrials("t.job = ? AND t.number >= ? ORDER BY t.number LIMIT ?"),
      job, from, rows_wanted + 1);
  Page<v1::Trial> page;
  while (rows.Next()) {
    if (static_cast<int>(page.rows.size()) == rows_wanted) {
      page.next_page_token = MakePageToken(kTrialsKind, rows.Int(kNumber));
      break;
    }
    page.rows.push_back(TrialOf(rows));
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return page;
}

absl::StatusOr<PlanSearch> FindTrialOfPlan(Database& db, const TrialId& first,
                                           absl::string_view plan_digest) {
  PlanSearch found;
  LATHE_ASSIGN_OR_RETURN(
      const std::optional<int64_t> next,
      db.QueryInt("SELECT next_number FROM counts WHERE job = ?", first.job));
  if (!next.has_value()) return NoSuch("job", JobName(first.job));
  found.next_number = *next;
  LATHE_ASSIGN_OR_RETURN(
      const std::optional<int64_t> number,
      db.QueryInt("SELECT number FROM trials WHERE job = ? AND number >= ? "
                  "AND plan_digest = ? ORDER BY number LIMIT 1",
                  first.job, first.number, plan_digest));
  if (!number.has_value()) return found;
  LATHE_ASSIGN_OR_RETURN(found.trial, ReadTrial(db, {first.job, *number}));
  return found;
}

absl::StatusOr<std::vector<v1::Trial>> ReadTheseTrials(
    Database& db, int64_t job, absl::Span<const int64_t> numbers) {
  std::vector<v1::Trial> trials;
  for (const int64_t number : numbers) {
    LATHE_ASSIGN_OR_RETURN(v1::Trial trial, ReadTrial(db, {job, number}));
    trials.push_back(std::move(trial));
  }
  return trials;
}

absl::StatusOr<std::vector<v1::Trial>> ReadAllTrials(Database& db,
                                                     int64_t job) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  Statement rows = db.Query(SelectTrials("t.job = ? ORDER BY t.number"), job);
  std::vector<v1::Trial> trials;
  while (rows.Next()) trials.push_back(TrialOf(rows));
  LATHE_RETURN_IF_ERROR(rows.status());
  return trials;
}

std::string ReuseKey(const v1::JobSpec& spec, absl::string_view plan_digest,
                     const v1::HardwareProfile& profile,
                     absl::string_view evaluator_version) {
  DigestBuilder digest;
  AddField(spec.model_digest(), &digest);
  AddField(spec.dataset().SerializeAsString(), &digest);
  // 0 stands for 1 in both.
  AddField(absl::StrCat(std::max(spec.threads(), 1)), &digest);
  AddField(absl::StrCat(std::max(spec.batch(), 1)), &digest);
  AddField(plan_digest, &digest);
  AddField(profile.SerializeAsString(), &digest);
  AddField(evaluator_version, &digest);
  // Keys of jobs without settings stay what they were before there were any.
  const std::string settings = spec.compression().SerializeAsString();
  if (!settings.empty()) AddField(settings, &digest);
  return digest.Finish();
}

absl::StatusOr<std::vector<std::optional<v1::Trial>>> FindByReuseKeys(
    Database& db, absl::Span<const std::string> reuse_keys) {
  std::vector<std::optional<v1::Trial>> trials;
  for (const std::string& key : reuse_keys) {
    LATHE_ASSIGN_OR_RETURN(std::optional<v1::Trial> trial,
                           FindByReuseKey(db, key));
    trials.push_back(std::move(trial));
  }
  return trials;
}

absl::StatusOr<v1::Trial> CopyMeasurement(Database& db, const TrialId& id,
                                          const v1::Trial& source,
                                          absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(v1::Trial trial, ReadTrial(db, id));
  if (trial.reused_from() == source.name()) return trial;
  if (trial.state() != v1::TRIAL_PENDING) {
    return absl::FailedPreconditionError(
        absl::StrCat(trial.name(), " is ", TrialStateName(trial.state()),
                     ", not PENDING; only a trial that waits can take over the "
                     "measurement of ",
                     source.name()));
  }
  LATHE_ASSIGN_OR_RETURN(const int64_t row, ReadTrialRow(db, id));
  LATHE_ASSIGN_OR_RETURN(const v1::JobSpec spec, ReadJobSpec(db, id.job));
  LATHE_RETURN_IF_ERROR(
      InsertMeasurement(db, row, spec, source.measurement(), trial));
  LATHE_RETURN_IF_ERROR(SetArtifact(db, id, source.artifact_digest()));
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE trials SET reused_from = ? WHERE job = ? AND number = ?",
             source.name(), id.job, id.number));
  TrialEnd end;
  end.row = row;
  end.from = v1::TRIAL_PENDING;
  end.to = v1::TRIAL_MEASURED;
  ChangeLog log(&db);
  LATHE_RETURN_IF_ERROR(EndTrial(db, end, now, log, trial));
  LATHE_RETURN_IF_ERROR(log.Finish());
  return ReadTrial(db, id);
}

absl::Status EndTrial(Database& db, const TrialEnd& end, absl::Time now,
                      ChangeLog& log, v1::Trial& trial) {
  TrialChange change;
  change.trial = IdOf(trial);
  change.from = end.from;
  change.to = end.to;
  change.reason = end.reason;
  LATHE_ASSIGN_OR_RETURN(const int64_t sequence, log.Record(change, now));
  trial.set_state(end.to);
  if (!IsFinal(end.to)) {
    return db.Run("UPDATE trials SET state = ? WHERE id = ?", int{end.to},
                  end.row);
  }
  const int64_t end_time_us = absl::ToUnixMicros(now);
  trial.set_state_reason(std::string(end.reason));
  *trial.mutable_end_time() = TimestampOf(end_time_us);
  return db.Run(
      "UPDATE trials SET state = ?, state_reason = ?, end_sequence = ?, "
      "end_time_us = ? WHERE id = ?",
      int{end.to}, end.reason, sequence, end_time_us, end.row);
}

absl::Status InsertMeasurement(Database& db, int64_t row,
                               const v1::JobSpec& spec,
                               const v1::Measurement& measurement,
                               v1::Trial& trial) {
  *trial.mutable_measurement() = measurement;
  return db.Run(
      "INSERT INTO measurements (trial, reuse_key, measurement) "
      "VALUES (?, ?, ?)",
      row,
      // What was only looked at is nobody else's result.
      measurement.has_early_stop()
          ? std::string()
          : ReuseKey(spec, trial.plan_digest(), measurement.profile(),
                     measurement.evaluator_version()),
      Blob(measurement));
}

absl::Status SetArtifact(Database& db, const TrialId& trial,
                         absl::string_view digest) {
  LATHE_RETURN_IF_ERROR(db.Run(
      "UPDATE trials SET artifact_digest = ? WHERE job = ? AND number = ?",
      digest, trial.job, trial.number));
  return ReferToBlob(db, trial.job, digest);
}

}  // namespace lathe::storage
