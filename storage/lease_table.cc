#include "storage/lease_table.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/names.h"
#include "storage/event_table.h"
#include "storage/job_table.h"
#include "storage/trial_table.h"

namespace lathe::storage {
namespace {

struct Attempt {
  TrialId trial;
  bool is_active = false;
  v1::OutcomeKind outcome = v1::OUTCOME_UNSPECIFIED;
  std::string session;
  std::string why;
};

// Nothing when the fence was never given, or its job was deleted.
absl::StatusOr<std::optional<Attempt>> FindAttempt(Database& db,
                                                   int64_t fence) {
  Statement row = db.Query(
      "SELECT t.job, t.number, a.is_active, a.outcome, a.session, a.why "
      "FROM attempts a JOIN trials t ON t.id = a.trial WHERE a.fence = ?",
      fence);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return std::nullopt;
  }
  Attempt attempt;
  attempt.trial = {row.Int(0), row.Int(1)};
  attempt.is_active = row.Int(2) != 0;
  attempt.outcome = static_cast<v1::OutcomeKind>(row.Int(3));
  attempt.session = row.Text(4);
  attempt.why = row.Text(5);
  return attempt;
}

absl::StatusOr<std::vector<int64_t>> LeasableJobs(
    Database& db, const v1::HardwareProfile& profile) {
  Statement rows = db.Query(
      "SELECT j.id FROM jobs j INDEXED BY jobs_leasable "
      "JOIN counts c ON c.job = j.id WHERE j.state IN (1, 2) "
      "AND c.pending > 0 AND j.profile_key IN ('', ?) ORDER BY j.id",
      ProfileKey(profile));
  std::vector<int64_t> jobs;
  while (rows.Next()) jobs.push_back(rows.Int(0));
  LATHE_RETURN_IF_ERROR(rows.status());
  return jobs;
}

// At most `most` of the job's, without those held back.
absl::StatusOr<std::vector<int64_t>> PendingNumbers(Database& db, int64_t job,
                                                    int64_t most,
                                                    const LeaseWish& wish) {
  const bool has_held = !wish.held_back.empty();
  const auto held =
      has_held ? static_cast<int64_t>(wish.held_back.size()) : int64_t{0};
  Statement rows = db.Query(
      "SELECT number FROM trials INDEXED BY trials_pending "
      "WHERE job = ? AND state = 1 ORDER BY number LIMIT ?",
      job, most + held);
  std::vector<int64_t> numbers;
  while (rows.Next() && static_cast<int64_t>(numbers.size()) < most) {
    const int64_t number = rows.Int(0);
    if (has_held && wish.held_back.count(TrialName({job, number})) > 0) {
      continue;
    }
    numbers.push_back(number);
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return numbers;
}

absl::StatusOr<GrantedLease> StartAttempt(Database& db, const TrialId& trial,
                                          absl::string_view session,
                                          absl::Time now) {
  GrantedLease lease;
  LATHE_ASSIGN_OR_RETURN(int64_t row, ReadTrialRow(db, trial));
  LATHE_RETURN_IF_ERROR(
      db.Run("INSERT INTO attempts (trial, session, start_time_us) "
             "VALUES (?, ?, ?)",
             row, session, absl::ToUnixMicros(now)));
  lease.fence = db.last_insert_id();
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE trials SET state = ?, attempts = attempts + 1 "
             "WHERE id = ?",
             int{v1::TRIAL_LEASED}, row));
  TrialChange change;
  change.trial = trial;
  change.from = v1::TRIAL_PENDING;
  change.to = v1::TRIAL_LEASED;
  LATHE_RETURN_IF_ERROR(RecordTrialChange(db, change, now).status());
  LATHE_ASSIGN_OR_RETURN(lease.trial, ReadTrial(db, trial));
  return lease;
}

absl::Status EndAttempt(Database& db, int64_t fence, v1::OutcomeKind outcome,
                        absl::string_view why, absl::Time now) {
  return db.Run(
      "UPDATE attempts SET is_active = 0, end_time_us = ?, outcome = ?, "
      "why = ? WHERE fence = ?",
      absl::ToUnixMicros(now), int{outcome}, why, fence);
}

// What the server must have decided before it may be stored.
absl::Status CheckCompletion(const Completion& completion) {
  const bool is_measured = completion.state == v1::TRIAL_MEASURED;
  if (completion.outcome.kind() == v1::OUTCOME_UNSPECIFIED) {
    return absl::InvalidArgumentError("outcome.kind is not set");
  }
  if (completion.state != v1::TRIAL_PENDING && !IsFinal(completion.state)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a completed trial cannot be ", TrialStateName(completion.state)));
  }
  if (is_measured && !completion.outcome.has_measurement()) {
    return absl::InvalidArgumentError("outcome.measurement is not set");
  }
  return absl::OkStatus();
}

absl::Status Fenced(int64_t fence, absl::string_view why) {
  return absl::AbortedError(
      absl::StrCat("fence ", fence, " is not active: ", why,
                   "; the trial may run elsewhere, stop this work"));
}

// Everything that follows from the end of an active attempt.
absl::Status ApplyCompletion(Database& db, const Completion& completion,
                             const TrialId& trial, absl::Time now) {
  const v1::Outcome& outcome = completion.outcome;
  LATHE_RETURN_IF_ERROR(
      EndAttempt(db, completion.fence, outcome.kind(), outcome.reason(), now));
  TrialEnd end;
  end.to = completion.state;
  end.reason = outcome.reason();
  LATHE_RETURN_IF_ERROR(EndTrial(db, trial, end, now));
  if (completion.state != v1::TRIAL_MEASURED) return absl::OkStatus();
  LATHE_RETURN_IF_ERROR(InsertMeasurement(db, trial, outcome.measurement()));
  if (trial.number != 0 || !outcome.has_baseline()) return absl::OkStatus();
  return UpdateBaseline(db, trial.job, outcome.baseline(),
                        outcome.measurement().profile());
}

}  // namespace

absl::StatusOr<std::vector<GrantedLease>> StartAttempts(Database& db,
                                                        const LeaseWish& wish,
                                                        absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(std::vector<int64_t> jobs,
                         LeasableJobs(db, wish.profile));
  std::vector<GrantedLease> leases;
  for (const int64_t job : jobs) {
    const int64_t left = wish.count - static_cast<int64_t>(leases.size());
    if (left <= 0) break;
    LATHE_ASSIGN_OR_RETURN(std::vector<int64_t> numbers,
                           PendingNumbers(db, job, left, wish));
    for (const int64_t number : numbers) {
      LATHE_ASSIGN_OR_RETURN(
          GrantedLease lease,
          StartAttempt(db, {job, number}, wish.session, now));
      leases.push_back(std::move(lease));
    }
  }
  return leases;
}

absl::StatusOr<AttemptRecord> ReadAttempt(Database& db, int64_t fence) {
  LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                         FindAttempt(db, fence));
  if (!attempt.has_value()) {
    return absl::NotFoundError(absl::StrCat("no attempt has fence ", fence));
  }
  AttemptRecord record;
  record.fence = fence;
  record.trial_name = TrialName(attempt->trial);
  record.session = std::move(attempt->session);
  record.is_active = attempt->is_active;
  record.kind = attempt->outcome;
  return record;
}

absl::StatusOr<std::vector<std::vector<GrantedLease>>> StartAttemptsForAll(
    Database& db, absl::Span<const LeaseWish> wishes, absl::Time now) {
  std::vector<std::vector<GrantedLease>> all;
  std::set<std::string> dry_profiles;
  for (const LeaseWish& wish : wishes) {
    std::vector<GrantedLease>& leases = all.emplace_back();
    const std::string profile = ProfileKey(wish.profile);
    if (dry_profiles.count(profile) > 0) continue;
    LATHE_ASSIGN_OR_RETURN(leases, StartAttempts(db, wish, now));
    const bool is_dry =
        wish.held_back.empty() && static_cast<int>(leases.size()) < wish.count;
    if (is_dry) dry_profiles.insert(profile);
  }
  return all;
}

absl::StatusOr<std::vector<ActiveAttempt>> ReadActiveAttempts(Database& db) {
  Statement rows = db.Query(
      "SELECT a.fence, t.job, t.number, a.session FROM attempts a "
      "INDEXED BY attempts_active "
      "JOIN trials t ON t.id = a.trial WHERE a.is_active = 1 "
      "ORDER BY a.fence");
  std::vector<ActiveAttempt> attempts;
  while (rows.Next()) {
    attempts.push_back(
        {rows.Int(0), TrialName({rows.Int(1), rows.Int(2)}), rows.Text(3)});
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return attempts;
}

absl::Status AbandonAttempts(Database& db, absl::Span<const int64_t> fences,
                             absl::string_view why, absl::Time now) {
  for (const int64_t fence : fences) {
    LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                           FindAttempt(db, fence));
    if (!attempt.has_value() || !attempt->is_active) continue;
    LATHE_RETURN_IF_ERROR(
        EndAttempt(db, fence, v1::OUTCOME_UNSPECIFIED, why, now));
    TrialEnd end;
    end.to = v1::TRIAL_PENDING;
    end.reason = why;
    LATHE_RETURN_IF_ERROR(EndTrial(db, attempt->trial, end, now));
  }
  return absl::OkStatus();
}

absl::StatusOr<CompletionResult> FinishAttempt(Database& db,
                                               const Completion& completion,
                                               absl::Time now) {
  LATHE_RETURN_IF_ERROR(CheckCompletion(completion));
  LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                         FindAttempt(db, completion.fence));
  if (!attempt.has_value()) return Fenced(completion.fence, "never granted");
  if (!completion.session.empty() && completion.session != attempt->session) {
    return Fenced(completion.fence, "granted to another session");
  }
  CompletionResult result;
  result.is_new = attempt->is_active;
  if (attempt->is_active) {
    LATHE_RETURN_IF_ERROR(ApplyCompletion(db, completion, attempt->trial, now));
  } else if (attempt->outcome == v1::OUTCOME_UNSPECIFIED) {
    return Fenced(completion.fence, attempt->why);
  }
  LATHE_ASSIGN_OR_RETURN(result.trial, ReadTrial(db, attempt->trial));
  return result;
}

absl::StatusOr<std::vector<EndedAttempt>> ReadEndedAttempts(
    Database& db, const TrialId& trial) {
  LATHE_ASSIGN_OR_RETURN(int64_t trial_row, ReadTrialRow(db, trial));
  Statement rows = db.Query(
      "SELECT fence, session, outcome, why FROM attempts "
      "WHERE trial = ? AND outcome != 0 ORDER BY fence",
      trial_row);
  std::vector<EndedAttempt> attempts;
  while (rows.Next()) {
    attempts.push_back({rows.Int(0), rows.Text(1),
                        static_cast<v1::OutcomeKind>(rows.Int(2)),
                        rows.Text(3)});
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return attempts;
}

absl::Status AttachArtifactTo(Database& db, int64_t fence,
                              absl::string_view digest) {
  LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                         FindAttempt(db, fence));
  if (!attempt.has_value() || attempt->outcome != v1::MEASURED) {
    return absl::NotFoundError(
        absl::StrCat("fence ", fence, " completed no measured trial"));
  }
  return SetArtifact(db, attempt->trial, digest);
}

}  // namespace lathe::storage
