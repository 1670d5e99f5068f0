#include "storage/event_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/names.h"
#include "storage/job_table.h"
#include "storage/trial_table.h"

namespace lathe::storage {
namespace {

// Adds to the count of trials in a state; there is none for no state.
void Count(v1::TrialState state, int64_t added, v1::TrialCounts& counts) {
  switch (state) {
    case v1::TRIAL_PENDING:
      return counts.set_pending(counts.pending() + added);
    case v1::TRIAL_LEASED:
      return counts.set_leased(counts.leased() + added);
    case v1::TRIAL_MEASURED:
      return counts.set_measured(counts.measured() + added);
    case v1::TRIAL_INFEASIBLE:
      return counts.set_infeasible(counts.infeasible() + added);
    case v1::TRIAL_FAILED:
      return counts.set_failed(counts.failed() + added);
    case v1::TRIAL_QUARANTINED:
      return counts.set_quarantined(counts.quarantined() + added);
    default:
      return;
  }
}

// What a watcher sees of a trial at an event: a state that is not final has
// no result yet.
v1::Trial AtEvent(v1::Trial trial, v1::TrialState state,
                  const std::string& reason) {
  trial.set_state(state);
  trial.set_state_reason(reason);
  if (!IsFinal(state)) {
    trial.clear_measurement();
    trial.clear_reward();
    trial.clear_learn_sequence();
    trial.clear_reused_from();
    trial.clear_artifact_digest();
    trial.clear_end_time();
  }
  return trial;
}

v1::Job AtEvent(v1::Job job, v1::JobState state, const std::string& reason,
                const v1::TrialCounts& counts) {
  job.set_state(state);
  job.set_state_reason(reason);
  *job.mutable_counts() = counts;
  if (!IsFinal(state)) job.clear_end_time();
  return job;
}

// Columns of the query in ReadEvents, before the trial's.
enum Column { kSequence, kTime, kNumber, kState, kReason, kCounts, kTrial };

v1::Event EventOf(Statement& row, const v1::Job& job) {
  v1::Event event;
  event.set_sequence(row.Int(kSequence));
  *event.mutable_time() = TimestampOf(row.Int(kTime));
  row.Parse(kCounts, event.mutable_counts());
  const int state = static_cast<int>(row.Int(kState));
  if (row.IsNull(kNumber)) {
    *event.mutable_job() = AtEvent(job, static_cast<v1::JobState>(state),
                                   row.Text(kReason), event.counts());
  } else {
    *event.mutable_trial() =
        AtEvent(TrialOf(row, kTrial), static_cast<v1::TrialState>(state),
                row.Text(kReason));
  }
  return event;
}

}  // namespace

absl::StatusOr<ChangeLog::Entry*> ChangeLog::Find(int64_t job) {
  const auto known = entries_.find(job);
  if (known != entries_.end()) return &known->second;
  Statement row =
      db_.Query(absl::StrCat("SELECT last_sequence, ", kCountColumns,
                             " FROM counts WHERE job = ?"),
                job);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("job", JobName(job));
  }
  Entry& entry = entries_[job];
  entry.last_sequence = row.Int(0);
  entry.counts = CountsOf(row, /*first_column=*/1);
  return &entry;
}

absl::StatusOr<int64_t> ChangeLog::Record(const TrialChange& change,
                                          absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(Entry * entry, Find(change.trial.job));
  Count(change.from, -1, entry->counts);
  Count(change.to, 1, entry->counts);
  const int64_t sequence = ++entry->last_sequence;
  LATHE_RETURN_IF_ERROR(db_.Run(
      "INSERT INTO events (job, sequence, time_us, number, state, reason, "
      "counts) VALUES (?, ?, ?, ?, ?, ?, ?)",
      change.trial.job, sequence, absl::ToUnixMicros(now), change.trial.number,
      int{change.to}, change.reason, Blob(entry->counts)));
  return sequence;
}

absl::Status ChangeLog::Finish() {
  for (const auto& [job, entry] : entries_) {
    const v1::TrialCounts& counts = entry.counts;
    LATHE_RETURN_IF_ERROR(
        db_.Run("UPDATE counts SET last_sequence = ?, pending = ?, leased = ?, "
                "measured = ?, infeasible = ?, failed = ?, quarantined = ? "
                "WHERE job = ?",
                entry.last_sequence, counts.pending(), counts.leased(),
                counts.measured(), counts.infeasible(), counts.failed(),
                counts.quarantined(), job));
  }
  return absl::OkStatus();
}

absl::Status RecordJobChange(Database& db, int64_t job, v1::JobState state,
                             absl::string_view reason, absl::Time now) {
  Statement row = db.Query(
      absl::StrCat("UPDATE counts SET last_sequence = last_sequence + 1 "
                   "WHERE job = ? RETURNING last_sequence, ",
                   kCountColumns),
      job);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("job", JobName(job));
  }
  const int64_t sequence = row.Int(0);
  const Blob counts(CountsOf(row, /*first_column=*/1));
  while (row.Next()) {
  }
  LATHE_RETURN_IF_ERROR(row.status());
  return db.Run(
      "INSERT INTO events (job, sequence, time_us, state, reason, counts) "
      "VALUES (?, ?, ?, ?, ?, ?)",
      job, sequence, absl::ToUnixMicros(now), int{state}, reason, counts);
}

absl::StatusOr<std::vector<v1::Event>> ReadEvents(Database& db, int64_t job,
                                                  int64_t after_sequence,
                                                  int limit) {
  LATHE_ASSIGN_OR_RETURN(v1::Job job_now, ReadJob(db, job));
  // "Without trials' details": the space and the latency table are large.
  job_now.clear_baseline();
  Statement rows = db.Query(
      absl::StrCat("SELECT e.sequence, e.time_us, e.number, e.state, e.reason,"
                   " e.counts, ",
                   kTrialColumns, kTrialResults,
                   " FROM events e LEFT JOIN trials t ON t.job = e.job AND "
                   "t.number = e.number ",
                   kTrialJoins,
                   " WHERE e.job = ? AND e.sequence > ? "
                   "ORDER BY e.sequence LIMIT ?"),
      job, after_sequence, limit);
  std::vector<v1::Event> events;
  while (rows.Next()) events.push_back(EventOf(rows, job_now));
  LATHE_RETURN_IF_ERROR(rows.status());
  return events;
}

}  // namespace lathe::storage
