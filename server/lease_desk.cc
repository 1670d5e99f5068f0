#include "server/lease_desk.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/names.h"
#include "server/errors.h"
#include "server/resource_names.h"

namespace lathe {
namespace {

// A worker with less time left than this many of its longest evaluations gets
// nothing more: the trial would be released unfinished.
constexpr double kLeastLifetimeEvaluations = 1.2;

bool HasTimeFor(const v1::LeaseTrialsRequest& request,
                const WorkerRegistry::Session& session) {
  return !request.has_remaining_lifetime_seconds() ||
         request.remaining_lifetime_seconds() >
             kLeastLifetimeEvaluations * session.longest_evaluation_seconds;
}

// Calls that one transaction takes in: it holds up other writers for some
// milliseconds.
constexpr size_t kMostGrantsAtOnce = 128;
// Jobs of which leases are granted now are few; a kilobyte each.
constexpr size_t kMostKnownJobs = 1000;

}  // namespace

LeaseDesk::LeaseDesk(Store* store, LeaseTable* leases, WorkerRegistry* workers,
                     JobControl* control, RetryHolds* holds,
                     const Signals* signals, Metrics* metrics,
                     const LeaseTimes& times)
    : store_(*store),
      leases_(*leases),
      workers_(*workers),
      control_(*control),
      holds_(*holds),
      signals_(*signals),
      metrics_(*metrics),
      times_(times),
      thread_([this] { ServeParked(); }) {}

LeaseDesk::~LeaseDesk() {
  Close();
  {
    absl::MutexLock lock(&mu_);
    is_stopping_ = true;
  }
  wakeup_.Set();
  thread_.join();
}

int64_t LeaseDesk::generation() {
  absl::MutexLock lock(&mu_);
  return generation_;
}

bool LeaseDesk::is_closed() {
  absl::MutexLock lock(&mu_);
  return is_closed_;
}

void LeaseDesk::NotifyPending() {
  {
    absl::MutexLock lock(&mu_);
    ++generation_;
  }
  wakeup_.Set();
}

void LeaseDesk::Lease(LeaseCall call) {
  while (true) {
    const int64_t before = generation();
    if (is_closed()) {
      call.answer(MakeError(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                            "the server is shutting down"));
      return;
    }
    absl::StatusOr<v1::LeaseTrialsResponse> response = TryGrant(call);
    if (!response.ok() || response->leases_size() > 0) {
      call.answer(std::move(response));
      return;
    }
    if (Park(call, before)) return;
  }
}

bool LeaseDesk::Park(LeaseCall& call, int64_t generation) {
  // A session has one call at a time: the client gave up an older one.
  std::vector<LeaseCall> replaced;
  {
    absl::MutexLock lock(&mu_);
    if (generation_ != generation && !is_closed_) return false;
    const auto same = std::stable_partition(
        parked_.begin(), parked_.end(), [&call](const LeaseCall& other) {
          return other.request.session() != call.request.session();
        });
    std::move(same, parked_.end(), std::back_inserter(replaced));
    parked_.erase(same, parked_.end());
    (is_closed_ ? replaced : parked_).push_back(std::move(call));
  }
  for (LeaseCall& old : replaced) old.answer(v1::LeaseTrialsResponse());
  wakeup_.Set();
  return true;
}

std::set<std::string> LeaseDesk::HeldFrom(absl::string_view session) {
  const absl::Time now = SteadyNow();
  return holds_.HeldFrom(session, workers_.CountActive(now), now);
}

bool LeaseDesk::MayLease(const LeaseCall& call,
                         const WorkerRegistry::Session& worker) {
  const bool is_ending = !HasTimeFor(call.request, worker);
  workers_.NoteEnding(call.request.session(), is_ending);
  return !worker.is_closed && !is_ending;
}

absl::StatusOr<v1::LeaseTrialsResponse> LeaseDesk::TryGrant(
    const LeaseCall& call) {
  const std::string& session = call.request.session();
  LATHE_ASSIGN_OR_RETURN(const WorkerRegistry::Session worker,
                         workers_.Hear(session, SteadyNow()));
  if (!MayLease(call, worker)) return v1::LeaseTrialsResponse();
  std::vector<GrantedLease> granted;
  {
    absl::ReaderMutexLock gate(&control_.grant_gate());
    LATHE_ASSIGN_OR_RETURN(
        granted,
        store_.GrantLeases(session, worker.profile, call.request.slots(),
                           absl::Now(), HeldFrom(session)));
  }
  LATHE_ASSIGN_OR_RETURN(v1::LeaseTrialsResponse response,
                         Announce(granted, session));
  if (granted.empty() || !call.is_gone()) return response;
  std::vector<int64_t> fences;
  for (const GrantedLease& lease : granted) fences.push_back(lease.fence);
  LATHE_RETURN_IF_ERROR(Release(fences, "the worker left"));
  return absl::CancelledError("the caller left");
}

absl::StatusOr<v1::LeaseTrialsResponse> LeaseDesk::Announce(
    const std::vector<GrantedLease>& granted, const std::string& session) {
  const absl::Time expires_at = SteadyNow() + times_.ttl;
  metrics_.CountLeases(static_cast<int>(granted.size()));
  for (const GrantedLease& lease : granted) {
    leases_.Add(lease.fence, session, lease.trial.name(), expires_at);
  }
  v1::LeaseTrialsResponse response;
  for (const GrantedLease& lease : granted) {
    signals_.job_changed(JobOfTrial(lease.trial.name()));
    // A lease that is not announced here expires.
    LATHE_RETURN_IF_ERROR(FillLease(lease, *response.add_leases()));
  }
  return response;
}

absl::Status LeaseDesk::FillLease(const GrantedLease& granted,
                                  v1::Lease& lease) {
  const std::string job_name = JobOfTrial(granted.trial.name());
  LATHE_ASSIGN_OR_RETURN(const v1::JobState state,
                         store_.GetJobState(job_name));
  // Ended between the grant and the table: its worker is told to stop.
  if (IsFinal(state)) {
    LATHE_RETURN_IF_ERROR(store_.EndAttempts(leases_.Unwant(job_name),
                                             "the job has ended", absl::Now()));
  }
  lease.set_fence(granted.fence);
  lease.set_trial(granted.trial.name());
  LATHE_ASSIGN_OR_RETURN(const JobTerms terms, TermsOf(job_name));
  *lease.mutable_spec() = terms.spec;
  *lease.mutable_plan() = granted.trial.proposal().plan();
  lease.set_trial_number(granted.trial.number());
  lease.set_activation_stats_digest(terms.activation_stats_digest);
  lease.set_ttl_seconds(absl::ToDoubleSeconds(times_.ttl));
  return absl::OkStatus();
}

absl::StatusOr<LeaseDesk::JobTerms> LeaseDesk::TermsOf(const std::string& job) {
  {
    absl::MutexLock lock(&terms_mu_);
    const auto known = terms_.find(job);
    if (known != terms_.end()) return known->second;
  }
  LATHE_ASSIGN_OR_RETURN(v1::Job read, store_.GetJob(job));
  JobTerms terms;
  terms.spec = std::move(*read.mutable_spec());
  terms.activation_stats_digest = read.baseline().activation_stats_digest();
  if (!read.has_baseline()) return terms;
  absl::MutexLock lock(&terms_mu_);
  if (terms_.size() >= kMostKnownJobs) terms_.clear();
  terms_[job] = terms;
  return terms;
}

void LeaseDesk::ServeParked() {
  absl::Time next_look = absl::InfiniteFuture();
  while (true) {
    wakeup_.WaitUntil(next_look);
    {
      absl::MutexLock lock(&mu_);
      if (is_stopping_) return;
    }
    next_look = ServeOnce();
  }
}

absl::Time LeaseDesk::ServeOnce() {
  std::vector<LeaseCall> calls;
  int64_t generation;
  {
    absl::MutexLock lock(&mu_);
    calls.swap(parked_);
    generation = generation_;
  }
  const bool has_news = generation != served_generation_;
  served_generation_ = generation;
  std::vector<LeaseCall> waiting;
  for (LeaseCall& call : calls) {
    if (!AnswerIfOver(call)) waiting.push_back(std::move(call));
  }
  if (has_news) waiting = AnswerGranted(std::move(waiting));
  absl::Time next_look = absl::InfiniteFuture();
  for (const LeaseCall& call : waiting) {
    next_look = std::min(next_look, call.deadline);
  }
  ParkAgain(std::move(waiting));
  return next_look;
}

bool LeaseDesk::AnswerIfOver(LeaseCall& call) {
  if (call.is_gone()) {
    call.answer(absl::CancelledError("the caller left"));
    return true;
  }
  if (call.deadline > SteadyNow()) return false;
  call.answer(v1::LeaseTrialsResponse());
  return true;
}

std::optional<LeaseWish> LeaseDesk::WishOf(LeaseCall& call) {
  const absl::StatusOr<WorkerRegistry::Session> worker =
      workers_.Hear(call.request.session(), SteadyNow());
  if (!worker.ok()) {
    std::exchange(call.answer, nullptr)(worker.status());
    return std::nullopt;
  }
  if (worker->is_draining) {
    // It hears that it is to drain when it renews, and then ends.
    std::exchange(call.answer, nullptr)(v1::LeaseTrialsResponse());
    return std::nullopt;
  }
  if (!MayLease(call, *worker)) return std::nullopt;
  return LeaseWish{call.request.session(), worker->profile,
                   call.request.slots(), HeldFrom(call.request.session())};
}

std::vector<LeaseCall> LeaseDesk::AnswerGranted(std::vector<LeaseCall> calls) {
  std::vector<LeaseCall> waiting;
  std::vector<LeaseCall> asking;
  std::vector<LeaseWish> wishes;
  for (LeaseCall& call : calls) {
    std::optional<LeaseWish> wish;
    if (wishes.size() < kMostGrantsAtOnce) wish = WishOf(call);
    if (wish.has_value()) {
      wishes.push_back(*std::move(wish));
      asking.push_back(std::move(call));
    } else if (call.answer != nullptr) {
      waiting.push_back(std::move(call));
    }
  }
  if (wishes.empty()) return waiting;
  absl::StatusOr<std::vector<std::vector<GrantedLease>>> granted;
  {
    absl::ReaderMutexLock gate(&control_.grant_gate());
    granted = store_.GrantToAll(wishes, absl::Now());
  }
  std::vector<LeaseCall> unserved;
  for (size_t i = 0; i < asking.size(); ++i) {
    if (!granted.ok()) {
      asking[i].answer(granted.status());
    } else if ((*granted)[i].empty()) {
      unserved.push_back(std::move(asking[i]));
    } else {
      AnswerWith(asking[i], (*granted)[i]);
    }
  }
  // All got something: there may be more for those that did not ask.
  if (unserved.empty() && !waiting.empty()) NotifyPending();
  // In their order: those that asked came first.
  unserved.insert(unserved.end(), std::make_move_iterator(waiting.begin()),
                  std::make_move_iterator(waiting.end()));
  return unserved;
}

void LeaseDesk::AnswerWith(LeaseCall& call,
                           const std::vector<GrantedLease>& granted) {
  absl::StatusOr<v1::LeaseTrialsResponse> response =
      Announce(granted, call.request.session());
  if (response.ok() && call.is_gone()) {
    std::vector<int64_t> fences;
    for (const GrantedLease& lease : granted) fences.push_back(lease.fence);
    // What cannot be given back now expires.
    Release(fences, "the worker left").IgnoreError();
    response = absl::CancelledError("the caller left");
  }
  call.answer(std::move(response));
}

void LeaseDesk::ParkAgain(std::vector<LeaseCall> calls) {
  {
    absl::MutexLock lock(&mu_);
    if (!is_closed_) {
      // Before those that came meanwhile.
      parked_.insert(parked_.begin(), std::make_move_iterator(calls.begin()),
                     std::make_move_iterator(calls.end()));
      return;
    }
  }
  for (LeaseCall& call : calls) call.answer(v1::LeaseTrialsResponse());
}

absl::Status LeaseDesk::Restore() {
  LATHE_ASSIGN_OR_RETURN(const std::vector<ActiveAttempt> attempts,
                         store_.ActiveAttempts());
  std::vector<int64_t> unwanted;
  for (const ActiveAttempt& attempt : attempts) {
    LATHE_ASSIGN_OR_RETURN(const v1::Job job,
                           store_.GetJob(JobOfTrial(attempt.trial_name)));
    if (IsFinal(job.state())) {
      unwanted.push_back(attempt.fence);
      continue;
    }
    leases_.Add(attempt.fence, attempt.session, attempt.trial_name,
                SteadyNow() + times_.restart_ttl);
  }
  return store_.EndAttempts(unwanted, "the job has ended", absl::Now());
}

void LeaseDesk::Sweep(absl::Time now) {
  if (holds_.TakeEnded(now)) signals_.trials_pending();
  const std::vector<HeldLease> expired = leases_.TakeExpired(now);
  if (expired.empty()) return;
  std::vector<int64_t> fences;
  for (const HeldLease& lease : expired) {
    LATHE_LOG(kInfo) << lease.trial << ": lease " << lease.fence << " expired";
    fences.push_back(lease.fence);
  }
  const absl::Status ended = store_.EndAttempts(fences, "expired", absl::Now());
  if (!ended.ok()) {
    LATHE_LOG(kWarning) << "ending expired leases: " << ended;
    // Taken again in the next sweep.
    for (const HeldLease& lease : expired) {
      leases_.Add(lease.fence, lease.session, lease.trial, now);
    }
    return;
  }
  for (const HeldLease& lease : expired) {
    signals_.job_changed(JobOfTrial(lease.trial));
  }
  metrics_.CountEndedLeases("expired", static_cast<int>(expired.size()));
  signals_.trials_pending();
}

absl::Status LeaseDesk::Release(absl::Span<const int64_t> fences,
                                absl::string_view why) {
  std::set<std::string> jobs;
  for (const int64_t fence : fences) {
    const std::optional<HeldLease> lease = leases_.Find(fence);
    if (lease.has_value()) jobs.insert(JobOfTrial(lease->trial));
  }
  LATHE_RETURN_IF_ERROR(store_.EndAttempts(fences, why, absl::Now()));
  metrics_.CountEndedLeases(why, static_cast<int>(fences.size()));
  for (const int64_t fence : fences) leases_.Remove(fence);
  for (const std::string& job : jobs) signals_.job_changed(job);
  signals_.trials_pending();
  return absl::OkStatus();
}

void LeaseDesk::Close() {
  std::vector<LeaseCall> calls;
  {
    absl::MutexLock lock(&mu_);
    is_closed_ = true;
    calls.swap(parked_);
  }
  for (LeaseCall& call : calls) call.answer(v1::LeaseTrialsResponse());
}

}  // namespace lathe
