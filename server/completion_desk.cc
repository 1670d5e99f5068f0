#include "server/completion_desk.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/confirmation.h"
#include "server/attempt_policy.h"
#include "server/errors.h"
#include "server/outcome_check.h"
#include "server/resource_names.h"
#include "server/steady.h"

namespace lathe {
namespace {

// Far above what a thousand workers can have under way.
constexpr size_t kMostQueued = 1'000'000;
// Completions in one transaction, which holds up other writers for some
// milliseconds.
constexpr size_t kMostAtOnce = 128;

bool IsBaseline(absl::string_view trial) {
  return absl::EndsWith(trial, "/trials/0");
}

// The state when nothing is known of earlier attempts, or they do not matter.
v1::TrialState StateWithoutHistory(const v1::Outcome& outcome) {
  if (outcome.kind() == v1::MEASURED) return v1::TRIAL_MEASURED;
  if (outcome.kind() == v1::INFEASIBLE) return v1::TRIAL_INFEASIBLE;
  return v1::TRIAL_PENDING;
}

bool IsSameMachine(const v1::HardwareProfile& a, const v1::HardwareProfile& b) {
  return a.cpu() == b.cpu() && a.isa() == b.isa() && a.onednn() == b.onednn();
}

// What a rejected outcome counts as.
v1::Outcome Rejected(const absl::Status& why) {
  v1::Outcome outcome;
  outcome.set_kind(v1::CRASH);
  outcome.set_reason(absl::StrCat("the outcome was rejected: ", why.message()));
  return outcome;
}

absl::Status MissingBlob(absl::string_view field, absl::string_view digest) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "BLOB_MISSING",
      absl::StrCat(field, ": no blob ", digest, " is stored; upload it first"));
}

}  // namespace

CompletionDesk::CompletionDesk(const CompletionParts& parts)
    : parts_(parts), calls_(kMostQueued), thread_([this] { ServeCalls(); }) {}

CompletionDesk::~CompletionDesk() {
  calls_.Close();
  thread_.join();
}

void CompletionDesk::Complete(CompletionCall call) {
  const auto answer = call.answer;
  if (calls_.Push(std::move(call))) return;
  answer(MakeError(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                   "the server is shutting down"));
}

void CompletionDesk::ServeCalls() {
  while (true) {
    std::vector<CompletionCall> calls = calls_.PopAll();
    if (calls.empty()) return;
    for (size_t begin = 0; begin < calls.size(); begin += kMostAtOnce) {
      const size_t end = std::min(calls.size(), begin + kMostAtOnce);
      ServeBatch({std::make_move_iterator(calls.begin() + begin),
                  std::make_move_iterator(calls.begin() + end)});
    }
  }
}

void CompletionDesk::ServeBatch(std::vector<CompletionCall> calls) {
  std::vector<Checked> checked;
  std::vector<Completion> completions;
  for (CompletionCall& call : calls) {
    const std::optional<HeldLease> lease =
        parts_.leases->Find(call.request->fence());
    absl::Status check = Check(*call.request, lease);
    absl::StatusOr<std::optional<Completion>> completion =
        Prepare(*call.request, lease, check);
    if (!completion.ok()) {
      call.answer(completion.status());
    } else if (!completion->has_value()) {
      v1::CompleteTrialResponse response;
      response.set_upload_artifact(true);
      call.answer(std::move(response));
    } else {
      completions.push_back(**std::move(completion));
      checked.push_back({std::move(call), std::move(check)});
    }
  }
  if (checked.empty()) return;
  const std::vector<absl::StatusOr<CompletionResult>> stored =
      parts_.store->CompleteAttempts(completions, absl::Now());
  std::set<std::string> jobs;
  for (size_t i = 0; i < checked.size(); ++i) {
    checked[i].call.answer(Settle(checked[i].check, completions[i], stored[i]));
    if (stored[i].ok()) jobs.insert(JobOfTrial(stored[i]->trial.name()));
  }
  for (const std::string& job : jobs) parts_.signals->job_changed(job);
  // Each end makes room for another trial of the same caller.
  if (parts_.frees_quota) parts_.signals->trials_pending();
}

absl::StatusOr<std::optional<Completion>> CompletionDesk::Prepare(
    const v1::CompleteTrialRequest& request,
    const std::optional<HeldLease>& lease, const absl::Status& check) {
  if (!check.ok() && !absl::IsInvalidArgument(check)) return check;
  Completion completion;
  completion.fence = request.fence();
  completion.session = request.session();
  completion.outcome = check.ok() ? request.outcome() : Rejected(check);
  completion.artifact_digest = request.artifact_digest();
  // Without a lease this repeats an earlier call, or comes too late.
  completion.state = StateWithoutHistory(completion.outcome);
  const v1::OutcomeKind kind = completion.outcome.kind();
  const bool is_settled = kind == v1::MEASURED || kind == v1::INFEASIBLE;
  if (lease.has_value() && !is_settled) {
    LATHE_ASSIGN_OR_RETURN(completion.state,
                           NextState(completion, lease->trial));
  }
  // A noisy measurement that is accepted.
  if (completion.state == v1::TRIAL_MEASURED) {
    completion.outcome.set_kind(v1::MEASURED);
  }
  LATHE_ASSIGN_OR_RETURN(const bool awaits_artifact,
                         AwaitsArtifact(request, lease, completion));
  if (awaits_artifact) return std::nullopt;
  return completion;
}

absl::StatusOr<bool> CompletionDesk::AwaitsArtifact(
    const v1::CompleteTrialRequest& request,
    const std::optional<HeldLease>& lease, const Completion& completion) {
  // Without a lease the store refuses it, or has ended the trial before.
  if (!request.offers_artifact() || !lease.has_value() ||
      completion.state != v1::TRIAL_MEASURED) {
    return false;
  }
  v1::Trial trial;
  trial.set_number(NumberOfTrial(lease->trial));
  *trial.mutable_measurement() = completion.outcome.measurement();
  const std::string job(JobOfTrial(lease->trial));
  LATHE_ASSIGN_OR_RETURN(const bool would_enter,
                         parts_.frontiers->WouldEnter(job, trial));
  if (would_enter) return true;
  LATHE_ASSIGN_OR_RETURN(const v1::Trial stored,
                         parts_.store->GetTrial(lease->trial));
  return IsSolversAnswer(stored);
}

absl::StatusOr<v1::CompleteTrialResponse> CompletionDesk::Settle(
    const absl::Status& check, const Completion& completion,
    const absl::StatusOr<CompletionResult>& stored) {
  if (stored.ok() || absl::IsAborted(stored.status())) {
    parts_.leases->Remove(completion.fence);
  }
  if (!stored.ok()) {
    return WithReasons(stored.status(),
                       {{absl::StatusCode::kAborted, "LEASE_FENCED"}});
  }
  if (stored->is_new) {
    LATHE_RETURN_IF_ERROR(Follow(completion, stored->trial));
  }
  LATHE_RETURN_IF_ERROR(check);
  return v1::CompleteTrialResponse();
}

absl::Status CompletionDesk::Check(const v1::CompleteTrialRequest& request,
                                   const std::optional<HeldLease>& lease) {
  const bool is_baseline = lease.has_value() && IsBaseline(lease->trial);
  LATHE_RETURN_IF_ERROR(CheckOutcome(request.outcome(), is_baseline));
  return lease.has_value() ? CheckAgainstTrial(request, lease->trial)
                           : absl::OkStatus();
}

absl::Status CompletionDesk::CheckAgainstTrial(
    const v1::CompleteTrialRequest& request, const std::string& trial) {
  const v1::Outcome& outcome = request.outcome();
  if (!outcome.has_measurement()) return absl::OkStatus();
  const absl::StatusOr<WorkerRegistry::Session> worker =
      parts_.workers->Hear(request.session(), SteadyNow());
  // After a restart the worker may not have registered yet.
  if (worker.ok() &&
      !IsSameMachine(worker->profile, outcome.measurement().profile())) {
    return MakeError(absl::StatusCode::kInvalidArgument, "OUTCOME_INVALID",
                     "measurement.profile is not the hardware that the worker "
                     "registered with");
  }
  const std::string& digest = outcome.baseline().activation_stats_digest();
  if (IsBaseline(trial) && !digest.empty() && !parts_.blobs->Touch(digest)) {
    return MissingBlob("baseline.activation_stats_digest", digest);
  }
  const std::string& artifact = request.artifact_digest();
  if (!artifact.empty() && !parts_.blobs->Touch(artifact)) {
    return MissingBlob("artifact_digest", artifact);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::TrialState> CompletionDesk::NextState(
    const Completion& completion, const std::string& trial) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<EndedAttempt> earlier,
                         parts_.store->EndedAttempts(trial));
  EndingAttempt ending;
  ending.kind = completion.outcome.kind();
  ending.has_measurement = completion.outcome.has_measurement();
  ending.session = completion.session;
  return NextTrialState(ending, earlier,
                        parts_.workers->CountActive(SteadyNow()));
}

absl::Status CompletionDesk::Follow(const Completion& completion,
                                    const v1::Trial& trial) {
  const v1::Outcome& outcome = completion.outcome;
  parts_.metrics->CountOutcome(outcome);
  if (trial.state() == v1::TRIAL_PENDING) {
    LATHE_LOG(kInfo) << trial.name() << ": "
                     << v1::OutcomeKind_Name(outcome.kind())
                     << ", tried again: " << outcome.reason();
    parts_.holds->Add(
        {trial.name(), completion.session, outcome.kind(), trial.attempts()},
        SteadyNow());
    parts_.signals->trials_pending();
  }
  if (trial.state() != v1::TRIAL_MEASURED &&
      trial.state() != v1::TRIAL_INFEASIBLE) {
    return absl::OkStatus();
  }
  LATHE_RETURN_IF_ERROR(
      parts_.frontiers->Add(JobOfTrial(trial.name()), trial).status());
  parts_.workers->NoteCompleted(completion.session,
                                outcome.measurement().evaluation_seconds());
  return trial.attempts() > 1 ? BlameOthers(completion.session, trial)
                              : absl::OkStatus();
}

absl::Status CompletionDesk::BlameOthers(const std::string& session,
                                         const v1::Trial& trial) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<EndedAttempt> attempts,
                         parts_.store->EndedAttempts(trial.name()));
  std::set<std::string> failed;
  for (const EndedAttempt& attempt : attempts) {
    const bool is_failure =
        attempt.kind != v1::MEASURED && attempt.kind != v1::INFEASIBLE;
    if (is_failure && attempt.session != session) {
      failed.insert(attempt.session);
    }
  }
  for (const std::string& other : failed) {
    const std::optional<std::string> worker =
        parts_.workers->NotePassedElsewhere(other);
    if (!worker.has_value()) continue;
    LATHE_LOG(kWarning) << *worker
                        << " is cordoned: trials that it failed pass elsewhere";
    parts_.metrics->CountCordonedWorker();
    LATHE_RETURN_IF_ERROR(parts_.store->SetCordoned(*worker, true));
    parts_.signals->workers_changed();
  }
  return absl::OkStatus();
}

}  // namespace lathe
