#include "server/job_control.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/names.h"
#include "proto/plan.h"
#include "server/errors.h"

namespace lathe {
namespace {

constexpr CodeReason kReasons[] = {
    {absl::StatusCode::kNotFound, "JOB_NOT_FOUND"},
    {absl::StatusCode::kFailedPrecondition, "JOB_ENDED"}};

}  // namespace

absl::StatusOr<v1::Job> JobControl::Set(absl::string_view job,
                                        v1::JobState state,
                                        absl::string_view reason) {
  absl::StatusOr<v1::Job> changed =
      store_.SetJobState(job, state, reason, absl::Now());
  if (!changed.ok()) return WithReasons(changed.status(), kReasons);
  if (IsFinal(state)) {
    EndLeases(job);
    LATHE_LOG(kInfo) << job << " is " << JobStateName(state)
                     << (reason.empty() ? "" : ": ") << reason;
  }
  signals_.job_changed(changed->name());
  return changed;
}

void JobControl::EndLeases(absl::string_view job) {
  const std::vector<int64_t> fences = leases_.Unwant(job);
  if (fences.empty()) return;
  const absl::Status ended =
      store_.EndAttempts(fences, "the job has ended", absl::Now());
  // The workers are told to stop all the same, and a restart ends what is left.
  if (!ended.ok()) {
    LATHE_LOG(kWarning) << "leases of " << job << ": " << ended;
  }
}

absl::Status JobControl::Start(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  LATHE_ASSIGN_OR_RETURN(const v1::Job current, store_.GetJob(job));
  if (current.state() != v1::PENDING) return absl::OkStatus();
  return Set(job, v1::RUNNING, "").status();
}

absl::StatusOr<v1::Job> JobControl::Pause(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  return Set(job, v1::PAUSED, "");
}

absl::StatusOr<v1::Job> JobControl::Resume(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  absl::StatusOr<v1::Job> current = store_.GetJob(job);
  if (!current.ok()) return WithReasons(current.status(), kReasons);
  if (!IsFinal(current->state()) && current->state() != v1::PAUSED) {
    return current;
  }
  absl::StatusOr<v1::Job> resumed = Set(job, v1::RUNNING, "");
  if (resumed.ok()) signals_.trials_pending();
  return resumed;
}

absl::StatusOr<v1::Job> JobControl::Cancel(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  return Set(job, v1::CANCELLED, "cancelled by a user");
}

absl::Status JobControl::Finish(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  LATHE_ASSIGN_OR_RETURN(const v1::Job current, store_.GetJob(job));
  if (current.counts().pending() + current.counts().leased() > 0) {
    return absl::OkStatus();
  }
  return Set(job, v1::DONE, "").status();
}

absl::Status JobControl::AddTrials(absl::string_view job,
                                   absl::Span<const v1::Proposal> proposals) {
  absl::MutexLock lock(&mu_);
  const absl::Status added =
      store_.AddTrials(job, proposals, absl::Now()).status();
  if (!added.ok()) return WithReasons(added, kReasons);
  signals_.job_changed(std::string(job));
  return absl::OkStatus();
}

absl::StatusOr<v1::Trial> JobControl::AddReusedTrial(
    absl::string_view job, const v1::Proposal& proposal,
    const v1::Trial& source) {
  absl::MutexLock lock(&mu_);
  absl::WriterMutexLock gate(&grant_gate_);
  LATHE_ASSIGN_OR_RETURN(const v1::Trial added, Add(job, proposal));
  LATHE_ASSIGN_OR_RETURN(
      v1::Trial reused,
      store_.ReuseMeasurement(added.name(), source, absl::Now()));
  signals_.job_changed(std::string(job));
  return reused;
}

absl::StatusOr<v1::Trial> JobControl::AddUserTrial(
    absl::string_view job, const v1::Proposal& proposal) {
  const std::string digest = PlanDigest(proposal.plan());
  // All trials without the lock, then those that came meanwhile.
  absl::StatusOr<PlanSearch> found = store_.FindPlan(job, digest, 0);
  if (!found.ok()) return WithReasons(found.status(), kReasons);
  if (found->trial.has_value()) return *std::move(found->trial);
  absl::MutexLock lock(&mu_);
  found = store_.FindPlan(job, digest, found->next_number);
  if (!found.ok()) return WithReasons(found.status(), kReasons);
  if (found->trial.has_value()) return *std::move(found->trial);
  return Add(job, proposal);
}

absl::StatusOr<v1::Trial> JobControl::Add(absl::string_view job,
                                          const v1::Proposal& proposal) {
  absl::StatusOr<std::vector<v1::Trial>> added =
      store_.AddTrials(job, {proposal}, absl::Now());
  if (!added.ok()) return WithReasons(added.status(), kReasons);
  signals_.job_changed(std::string(job));
  return added->front();
}

absl::Status JobControl::Fail(absl::string_view job, absl::string_view reason) {
  absl::MutexLock lock(&mu_);
  return Set(job, v1::JOB_FAILED, reason).status();
}

}  // namespace lathe
