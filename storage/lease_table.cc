#include "storage/lease_table.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/names.h"
#include "storage/creator_table.h"
#include "storage/event_table.h"
#include "storage/job_table.h"
#include "storage/trial_table.h"

namespace lathe::storage {
namespace {

struct Attempt {
  int64_t trial_row = 0;
  v1::Trial trial;
  bool is_active = false;
  v1::OutcomeKind outcome = v1::OUTCOME_UNSPECIFIED;
  std::string session;
  std::string why;
};

// Nothing when the fence was never given, or its job was deleted.
absl::StatusOr<std::optional<Attempt>> FindAttempt(Database& db,
                                                   int64_t fence) {
  Statement row = db.Query(
      absl::StrCat("SELECT a.is_active, a.outcome, a.session, a.why, t.id, ",
                   kTrialColumns, kTrialResults,
                   " FROM attempts a JOIN trials t ON t.id = a.trial ",
                   kTrialJoins, " WHERE a.fence = ?"),
      fence);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return std::nullopt;
  }
  Attempt attempt;
  attempt.is_active = row.Int(0) != 0;
  attempt.outcome = static_cast<v1::OutcomeKind>(row.Int(1));
  attempt.session = row.Text(2);
  attempt.why = row.Text(3);
  attempt.trial_row = row.Int(4);
  attempt.trial = TrialOf(row, /*first_column=*/5);
  LATHE_RETURN_IF_ERROR(row.status());
  return attempt;
}

struct LeasableJob {
  int64_t id = 0;
  std::string creator;
};

absl::StatusOr<std::vector<LeasableJob>> LeasableJobs(
    Database& db, const std::string& profile_key) {
  Statement rows = db.Query(
      "SELECT j.id, j.creator FROM jobs j INDEXED BY jobs_leasable "
      "JOIN counts c ON c.job = j.id WHERE j.state IN (1, 2) "
      "AND c.pending > 0 AND j.profile_key IN ('', ?) ORDER BY j.id",
      profile_key);
  std::vector<LeasableJob> jobs;
  while (rows.Next()) jobs.push_back({rows.Int(0), rows.Text(1)});
  LATHE_RETURN_IF_ERROR(rows.status());
  return jobs;
}

// A trial with the id of its row.
struct PendingTrial {
  int64_t row = 0;
  v1::Trial trial;
};

// At most `most` of the job's, without those held back.
absl::StatusOr<std::vector<PendingTrial>> PendingTrials(Database& db,
                                                        int64_t job,
                                                        int64_t most,
                                                        const LeaseWish& wish) {
  const auto held = static_cast<int64_t>(wish.held_back.size());
  Statement rows = db.Query(
      absl::StrCat("SELECT t.id, ", kTrialColumns, kNoTrialResults,
                   " FROM trials t INDEXED BY trials_pending WHERE t.job = ? "
                   "AND t.state = 1 ORDER BY t.number LIMIT ?"),
      job, most + held);
  std::vector<PendingTrial> pending;
  while (static_cast<int64_t>(pending.size()) < most && rows.Next()) {
    v1::Trial trial = TrialOf(rows, /*first_column=*/1);
    if (held > 0 && wish.held_back.count(trial.name()) > 0) continue;
    pending.push_back({rows.Int(0), std::move(trial)});
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return pending;
}

absl::StatusOr<GrantedLease> StartAttempt(Database& db, PendingTrial pending,
                                          absl::string_view session,
                                          absl::Time now, ChangeLog& log) {
  GrantedLease lease;
  lease.trial = std::move(pending.trial);
  LATHE_RETURN_IF_ERROR(
      db.Run("INSERT INTO attempts (trial, session, start_time_us) "
             "VALUES (?, ?, ?)",
             pending.row, session, absl::ToUnixMicros(now)));
  lease.fence = db.last_insert_id();
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE trials SET state = ?, attempts = attempts + 1 "
             "WHERE id = ?",
             int{v1::TRIAL_LEASED}, pending.row));
  TrialChange change;
  change.trial = IdOf(lease.trial);
  change.from = v1::TRIAL_PENDING;
  change.to = v1::TRIAL_LEASED;
  LATHE_RETURN_IF_ERROR(log.Record(change, now).status());
  lease.trial.set_state(v1::TRIAL_LEASED);
  lease.trial.set_attempts(lease.trial.attempts() + 1);
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

// What the completions of one write share.
struct CompletionBatch {
  explicit CompletionBatch(Database* db) : log(db) {}

  ChangeLog log;
  std::map<int64_t, v1::JobSpec> specs;  // By job.
};

absl::StatusOr<const v1::JobSpec*> SpecOf(Database& db, int64_t job,
                                          CompletionBatch& batch) {
  const auto known = batch.specs.find(job);
  if (known != batch.specs.end()) return &known->second;
  LATHE_ASSIGN_OR_RETURN(v1::JobSpec spec, ReadJobSpec(db, job));
  return &(batch.specs[job] = std::move(spec));
}

absl::Status StoreArtifact(Database& db, const Completion& completion,
                           v1::Trial& trial) {
  if (completion.artifact_digest.empty()) return absl::OkStatus();
  trial.set_artifact_digest(completion.artifact_digest);
  return SetArtifact(db, IdOf(trial), completion.artifact_digest);
}

// Everything that follows from the end of an active attempt.
absl::Status ApplyCompletion(Database& db, const Completion& completion,
                             absl::Time now, CompletionBatch& batch,
                             Attempt& attempt) {
  const v1::Outcome& outcome = completion.outcome;
  LATHE_RETURN_IF_ERROR(
      EndAttempt(db, completion.fence, outcome.kind(), outcome.reason(), now));
  TrialEnd end;
  end.row = attempt.trial_row;
  end.to = completion.state;
  end.reason = outcome.reason();
  v1::Trial& trial = attempt.trial;
  LATHE_RETURN_IF_ERROR(EndTrial(db, end, now, batch.log, trial));
  if (completion.state != v1::TRIAL_MEASURED) return absl::OkStatus();
  const int64_t job = IdOf(trial).job;
  LATHE_ASSIGN_OR_RETURN(const v1::JobSpec* const spec, SpecOf(db, job, batch));
  LATHE_RETURN_IF_ERROR(
      InsertMeasurement(db, end.row, *spec, outcome.measurement(), trial));
  LATHE_RETURN_IF_ERROR(StoreArtifact(db, completion, trial));
  if (trial.number() != 0 || !outcome.has_baseline()) return absl::OkStatus();
  return UpdateBaseline(db, job, outcome.baseline(),
                        outcome.measurement().profile());
}

// The answer to a completion that cannot be stored (anew), or nothing.
std::optional<absl::Status> Refusal(const Completion& completion,
                                    const std::optional<Attempt>& attempt) {
  if (!attempt.has_value()) return Fenced(completion.fence, "never granted");
  if (!completion.session.empty() && completion.session != attempt->session) {
    return Fenced(completion.fence, "granted to another session");
  }
  if (!attempt->is_active && attempt->outcome == v1::OUTCOME_UNSPECIFIED) {
    return Fenced(completion.fence, attempt->why);
  }
  return std::nullopt;
}

// What each creator's jobs run, and may.
class RunningQuota {
 public:
  static absl::StatusOr<RunningQuota> Read(Database& db, int64_t most) {
    RunningQuota quota;
    quota.most_ = most;
    if (most == 0) return quota;
    LATHE_ASSIGN_OR_RETURN(quota.running_, ReadRunningTrials(db));
    return quota;
  }

  // How many of `wanted` may start.
  int64_t Room(const std::string& creator, int64_t wanted) {
    if (most_ == 0) return wanted;
    return std::clamp<int64_t>(most_ - running_[creator], 0, wanted);
  }
  void Take(const std::string& creator, size_t count) {
    if (most_ > 0) running_[creator] += static_cast<int64_t>(count);
  }

 private:
  int64_t most_ = 0;
  std::map<std::string, int64_t> running_;  // By creator.
};

// What the grants of one write share.
struct GrantBatch {
  ChangeLog log;
  RunningQuota quota;
  // By profile. The counts that they depend on are stored after the last grant.
  std::map<std::string, std::vector<LeasableJob>> jobs = {};
};

absl::StatusOr<const std::vector<LeasableJob>*> JobsFor(
    Database& db, const v1::HardwareProfile& profile, GrantBatch& batch) {
  const std::string key = ProfileKey(profile);
  const auto known = batch.jobs.find(key);
  if (known != batch.jobs.end()) return &known->second;
  LATHE_ASSIGN_OR_RETURN(std::vector<LeasableJob> jobs, LeasableJobs(db, key));
  return &(batch.jobs[key] = std::move(jobs));
}

absl::StatusOr<std::vector<GrantedLease>> StartAttempts(Database& db,
                                                        const LeaseWish& wish,
                                                        absl::Time now,
                                                        GrantBatch& batch) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<LeasableJob>* const jobs,
                         JobsFor(db, wish.profile, batch));
  std::vector<GrantedLease> leases;
  for (const LeasableJob& job : *jobs) {
    const int64_t left = wish.count - static_cast<int64_t>(leases.size());
    if (left <= 0) break;
    const int64_t room = batch.quota.Room(job.creator, left);
    if (room == 0) continue;
    LATHE_ASSIGN_OR_RETURN(std::vector<PendingTrial> pending,
                           PendingTrials(db, job.id, room, wish));
    batch.quota.Take(job.creator, pending.size());
    for (PendingTrial& trial : pending) {
      LATHE_ASSIGN_OR_RETURN(
          GrantedLease lease,
          StartAttempt(db, std::move(trial), wish.session, now, batch.log));
      leases.push_back(std::move(lease));
    }
  }
  return leases;
}

}  // namespace

absl::StatusOr<AttemptRecord> ReadAttempt(Database& db, int64_t fence) {
  LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                         FindAttempt(db, fence));
  if (!attempt.has_value()) {
    return absl::NotFoundError(absl::StrCat("no attempt has fence ", fence));
  }
  AttemptRecord record;
  record.fence = fence;
  record.trial_name = attempt->trial.name();
  record.session = std::move(attempt->session);
  record.is_active = attempt->is_active;
  return record;
}

absl::StatusOr<std::vector<std::vector<GrantedLease>>> StartAttemptsForAll(
    Database& db, absl::Span<const LeaseWish> wishes,
    int64_t most_running_trials, absl::Time now) {
  std::vector<std::vector<GrantedLease>> all;
  std::set<std::string> dry_profiles;
  LATHE_ASSIGN_OR_RETURN(RunningQuota quota,
                         RunningQuota::Read(db, most_running_trials));
  GrantBatch batch{ChangeLog(&db), std::move(quota)};
  for (const LeaseWish& wish : wishes) {
    std::vector<GrantedLease>& leases = all.emplace_back();
    const std::string profile = ProfileKey(wish.profile);
    if (dry_profiles.count(profile) > 0) continue;
    LATHE_ASSIGN_OR_RETURN(leases, StartAttempts(db, wish, now, batch));
    const bool is_dry =
        wish.held_back.empty() && static_cast<int>(leases.size()) < wish.count;
    if (is_dry) dry_profiles.insert(profile);
  }
  LATHE_RETURN_IF_ERROR(batch.log.Finish());
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
  ChangeLog log(&db);
  for (const int64_t fence : fences) {
    LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                           FindAttempt(db, fence));
    if (!attempt.has_value() || !attempt->is_active) continue;
    LATHE_RETURN_IF_ERROR(
        EndAttempt(db, fence, v1::OUTCOME_UNSPECIFIED, why, now));
    TrialEnd end;
    end.row = attempt->trial_row;
    end.to = v1::TRIAL_PENDING;
    end.reason = why;
    LATHE_RETURN_IF_ERROR(EndTrial(db, end, now, log, attempt->trial));
  }
  return log.Finish();
}

absl::StatusOr<std::vector<absl::StatusOr<CompletionResult>>> FinishAttempts(
    Database& db, absl::Span<const Completion> completions, absl::Time now) {
  std::vector<absl::StatusOr<CompletionResult>> results;
  CompletionBatch batch(&db);
  for (const Completion& completion : completions) {
    if (absl::Status bad = CheckCompletion(completion); !bad.ok()) {
      results.emplace_back(std::move(bad));
      continue;
    }
    LATHE_ASSIGN_OR_RETURN(std::optional<Attempt> attempt,
                           FindAttempt(db, completion.fence));
    std::optional<absl::Status> refusal = Refusal(completion, attempt);
    if (refusal.has_value()) {
      results.emplace_back(*std::move(refusal));
      continue;
    }
    CompletionResult result;
    result.is_new = attempt->is_active;
    if (attempt->is_active) {
      LATHE_RETURN_IF_ERROR(
          ApplyCompletion(db, completion, now, batch, *attempt));
    }
    result.trial = std::move(attempt->trial);
    results.emplace_back(std::move(result));
  }
  LATHE_RETURN_IF_ERROR(batch.log.Finish());
  return results;
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

}  // namespace lathe::storage
