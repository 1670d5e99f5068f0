#include "storage/event_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/names.h"
#include "storage/job_table.h"
#include "storage/trial_table.h"

namespace lathe::storage {
namespace {

// The column of `counts` for a state; empty for none.
absl::string_view CountColumn(v1::TrialState state) {
  switch (state) {
    case v1::TRIAL_PENDING:
      return "pending";
    case v1::TRIAL_LEASED:
      return "leased";
    case v1::TRIAL_MEASURED:
      return "measured";
    case v1::TRIAL_INFEASIBLE:
      return "infeasible";
    case v1::TRIAL_FAILED:
      return "failed";
    case v1::TRIAL_QUARANTINED:
      return "quarantined";
    default:
      return "";
  }
}

struct Numbered {
  int64_t sequence = 0;
  v1::TrialCounts counts;
};

// Takes the job's next sequence and applies `set_clause` to its counts.
absl::StatusOr<Numbered> NextSequence(Database& db, int64_t job,
                                      absl::string_view set_clause) {
  Statement row = db.Query(
      absl::StrCat("UPDATE counts SET last_sequence = last_sequence + 1",
                   set_clause, " WHERE job = ? RETURNING last_sequence, ",
                   kCountColumns),
      job);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("job", JobName(job));
  }
  Numbered numbered;
  numbered.sequence = row.Int(0);
  numbered.counts = CountsOf(row, /*first_column=*/1);
  while (row.Next()) {
  }
  LATHE_RETURN_IF_ERROR(row.status());
  return numbered;
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

absl::StatusOr<int64_t> RecordTrialChange(Database& db,
                                          const TrialChange& change,
                                          absl::Time now) {
  std::string set_clause;
  const absl::string_view from = CountColumn(change.from);
  const absl::string_view to = CountColumn(change.to);
  if (!from.empty())
    absl::StrAppend(&set_clause, ", ", from, " = ", from, " - 1");
  if (!to.empty()) absl::StrAppend(&set_clause, ", ", to, " = ", to, " + 1");
  LATHE_ASSIGN_OR_RETURN(Numbered numbered,
                         NextSequence(db, change.trial.job, set_clause));
  LATHE_RETURN_IF_ERROR(db.Run(
      "INSERT INTO events (job, sequence, time_us, number, state, reason, "
      "counts) VALUES (?, ?, ?, ?, ?, ?, ?)",
      change.trial.job, numbered.sequence, absl::ToUnixMicros(now),
      change.trial.number, int{change.to}, change.reason,
      Blob(numbered.counts)));
  return numbered.sequence;
}

absl::Status RecordJobChange(Database& db, int64_t job, v1::JobState state,
                             absl::string_view reason, absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(Numbered numbered, NextSequence(db, job, ""));
  return db.Run(
      "INSERT INTO events (job, sequence, time_us, state, reason, counts) "
      "VALUES (?, ?, ?, ?, ?, ?)",
      job, numbered.sequence, absl::ToUnixMicros(now), int{state}, reason,
      Blob(numbered.counts));
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
                   kTrialColumns,
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
