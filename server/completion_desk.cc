#include "server/completion_desk.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/status.h"
#include "server/attempt_policy.h"
#include "server/errors.h"
#include "server/outcome_check.h"
#include "server/resource_names.h"
#include "server/steady.h"

namespace lathe {
namespace {

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

// The request with the outcome that a rejected one counts as.
v1::CompleteTrialRequest Rejected(v1::CompleteTrialRequest request,
                                  const absl::Status& why) {
  request.clear_outcome();
  request.mutable_outcome()->set_kind(v1::CRASH);
  request.mutable_outcome()->set_reason(
      absl::StrCat("the outcome was rejected: ", why.message()));
  return request;
}

absl::Status MissingBlob(absl::string_view field, absl::string_view digest) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "BLOB_MISSING",
      absl::StrCat(field, ": no blob ", digest, " is stored; upload it first"));
}

}  // namespace

absl::StatusOr<v1::CompleteTrialResponse> CompletionDesk::Complete(
    const v1::CompleteTrialRequest& request) {
  const std::optional<HeldLease> lease = parts_.leases->Find(request.fence());
  const absl::Status check = Check(request, lease);
  if (!check.ok() && !absl::IsInvalidArgument(check)) return check;
  const v1::CompleteTrialRequest counted =
      check.ok() ? request : Rejected(request, check);
  // Without a lease this repeats an earlier call, or comes too late.
  v1::TrialState state = StateWithoutHistory(counted.outcome());
  const v1::OutcomeKind kind = counted.outcome().kind();
  const bool is_settled = kind == v1::MEASURED || kind == v1::INFEASIBLE;
  if (lease.has_value() && !is_settled) {
    LATHE_ASSIGN_OR_RETURN(state, NextState(counted, lease->trial));
  }
  LATHE_ASSIGN_OR_RETURN(const CompletionResult result, Store(counted, state));
  if (result.is_new) {
    LATHE_RETURN_IF_ERROR(Follow(counted, result.trial));
  }
  LATHE_RETURN_IF_ERROR(check);
  v1::CompleteTrialResponse response;
  if (counted.outcome().has_measurement()) {
    LATHE_ASSIGN_OR_RETURN(const bool is_wanted,
                           IsArtifactWanted(result.trial));
    response.set_upload_artifact(is_wanted);
  }
  return response;
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
  return absl::OkStatus();
}

absl::StatusOr<v1::TrialState> CompletionDesk::NextState(
    const v1::CompleteTrialRequest& request, const std::string& trial) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<EndedAttempt> earlier,
                         parts_.store->EndedAttempts(trial));
  EndingAttempt ending;
  ending.kind = request.outcome().kind();
  ending.has_measurement = request.outcome().has_measurement();
  ending.session = request.session();
  return NextTrialState(ending, earlier,
                        parts_.workers->CountActive(SteadyNow()));
}

absl::StatusOr<CompletionResult> CompletionDesk::Store(
    const v1::CompleteTrialRequest& request, v1::TrialState state) {
  Completion completion;
  completion.fence = request.fence();
  completion.session = request.session();
  completion.state = state;
  completion.outcome = request.outcome();
  // A noisy measurement that is accepted.
  if (state == v1::TRIAL_MEASURED) completion.outcome.set_kind(v1::MEASURED);
  absl::StatusOr<CompletionResult> result =
      parts_.store->CompleteAttempt(completion, absl::Now());
  if (result.ok() || absl::IsAborted(result.status())) {
    parts_.leases->Remove(request.fence());
  }
  if (!result.ok()) {
    return WithReasons(result.status(),
                       {{absl::StatusCode::kAborted, "LEASE_FENCED"}});
  }
  return result;
}

absl::Status CompletionDesk::Follow(const v1::CompleteTrialRequest& request,
                                    const v1::Trial& trial) {
  parts_.metrics->CountOutcome(request.outcome());
  parts_.signals->job_changed(JobOfTrial(trial.name()));
  if (trial.state() == v1::TRIAL_PENDING) {
    LATHE_LOG(kInfo) << trial.name() << ": "
                     << v1::OutcomeKind_Name(request.outcome().kind())
                     << ", tried again: " << request.outcome().reason();
    parts_.holds->Add({trial.name(), request.session(),
                       request.outcome().kind(), trial.attempts()},
                      SteadyNow());
    parts_.signals->trials_pending();
  }
  if (trial.state() != v1::TRIAL_MEASURED &&
      trial.state() != v1::TRIAL_INFEASIBLE) {
    return absl::OkStatus();
  }
  parts_.workers->NoteCompleted(
      request.session(), request.outcome().measurement().evaluation_seconds());
  return trial.attempts() > 1 ? BlameOthers(request, trial) : absl::OkStatus();
}

absl::Status CompletionDesk::BlameOthers(
    const v1::CompleteTrialRequest& request, const v1::Trial& trial) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<EndedAttempt> attempts,
                         parts_.store->EndedAttempts(trial.name()));
  std::set<std::string> failed;
  for (const EndedAttempt& attempt : attempts) {
    const bool is_failure =
        attempt.kind != v1::MEASURED && attempt.kind != v1::INFEASIBLE;
    if (is_failure && attempt.session != request.session()) {
      failed.insert(attempt.session);
    }
  }
  for (const std::string& session : failed) {
    const std::optional<std::string> worker =
        parts_.workers->NotePassedElsewhere(session);
    if (!worker.has_value()) continue;
    LATHE_LOG(kWarning) << *worker
                        << " is cordoned: trials that it failed pass elsewhere";
    parts_.metrics->CountCordonedWorker();
    LATHE_RETURN_IF_ERROR(parts_.store->SetCordoned(*worker, true));
    parts_.signals->workers_changed();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CompletionDesk::IsArtifactWanted(const v1::Trial& trial) {
  if (trial.state() != v1::TRIAL_MEASURED) return false;
  return parts_.frontiers->Add(JobOfTrial(trial.name()), trial);
}

absl::Status CompletionDesk::Attach(const v1::AttachArtifactRequest& request) {
  FieldChecks checks;
  checks.Require(IsSha256Hex(request.digest()), "digest",
                 "not 64 lower-case hexadecimal digits");
  LATHE_RETURN_IF_ERROR(checks.ToStatus());
  const absl::StatusOr<AttemptRecord> attempt =
      parts_.store->GetAttempt(request.fence());
  if (attempt.ok() && attempt->session != request.session()) {
    return MakeError(absl::StatusCode::kAborted, "LEASE_FENCED",
                     absl::StrCat("fence ", request.fence(),
                                  " was granted to another session"));
  }
  if (!parts_.blobs->Touch(request.digest())) {
    return MissingBlob("digest", request.digest());
  }
  absl::Status attached =
      parts_.store->AttachArtifact(request.fence(), request.digest());
  if (!absl::IsNotFound(attached)) return attached;
  return MakeError(absl::StatusCode::kAborted, "LEASE_FENCED",
                   attached.message());
}

}  // namespace lathe
