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
#include "server/rivals.h"

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
}  // namespace

LeaseDesk::LeaseDesk(Store* store, LeaseTable* leases, WorkerRegistry* workers,
                     JobControl* control, RetryHolds* holds,
                     FrontierTracker* frontiers, const Signals* signals,
                     Metrics* metrics, const LeaseTimes& times)
    : store_(*store),
      leases_(*leases),
      workers_(*workers),
      control_(*control),
      holds_(*holds),
      frontiers_(*frontiers),
      signals_(*signals),
      metrics_(*metrics),
      times_(times),
      terms_(store),
      thread_([this] { ServeCalls(); }) {}

LeaseDesk::~LeaseDesk() {
  Close();
  {
    absl::MutexLock lock(&mu_);
    is_stopping_ = true;
  }
  wakeup_.Set();
  thread_.join();
}

void LeaseDesk::NotifyPending() {
  {
    absl::MutexLock lock(&mu_);
    ++generation_;
  }
  wakeup_.Set();
}

void LeaseDesk::Lease(LeaseCall call) {
  {
    absl::MutexLock lock(&mu_);
    if (!is_closed_) {
      arrived_.push_back(std::move(call));
      wakeup_.Set();
      return;
    }
  }
  call.answer(MakeError(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                        "the server is shutting down"));
}

void LeaseDesk::ServeCalls() {
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
  std::vector<LeaseCall> waiting;
  std::vector<LeaseCall> arrived;
  int64_t generation;
  {
    absl::MutexLock lock(&mu_);
    waiting.swap(parked_);
    arrived.swap(arrived_);
    generation = generation_;
  }
  const bool has_news = generation != served_generation_;
  served_generation_ = generation;
  waiting = AnswerOver(std::move(waiting), arrived);
  // Without news only those have a chance that were not tried yet.
  std::vector<LeaseCall> asking;
  if (has_news) asking.swap(waiting);
  asking.insert(asking.end(), std::make_move_iterator(arrived.begin()),
                std::make_move_iterator(arrived.end()));
  for (size_t begin = 0; begin < asking.size(); begin += kMostGrantsAtOnce) {
    const size_t end = std::min(asking.size(), begin + kMostGrantsAtOnce);
    std::vector<LeaseCall> unserved =
        AnswerGranted({std::make_move_iterator(asking.begin() + begin),
                       std::make_move_iterator(asking.begin() + end)},
                      has_news);
    waiting.insert(waiting.end(), std::make_move_iterator(unserved.begin()),
                   std::make_move_iterator(unserved.end()));
  }
  absl::Time next_look = absl::InfiniteFuture();
  for (const LeaseCall& call : waiting) {
    next_look = std::min(next_look, call.deadline);
  }
  ParkAgain(std::move(waiting));
  return next_look;
}

std::vector<LeaseCall> LeaseDesk::AnswerOver(
    std::vector<LeaseCall> parked, const std::vector<LeaseCall>& arrived) {
  std::set<absl::string_view> sessions;
  for (const LeaseCall& call : arrived) sessions.insert(call.request.session());
  const absl::Time now = SteadyNow();
  std::vector<LeaseCall> waiting;
  for (LeaseCall& call : parked) {
    if (call.is_gone()) {
      call.answer(absl::CancelledError("the caller left"));
    } else if (call.deadline <= now ||
               sessions.count(call.request.session()) > 0) {
      // A session has one call at a time: the client gave up an older one.
      call.answer(v1::LeaseTrialsResponse());
    } else {
      waiting.push_back(std::move(call));
    }
  }
  return waiting;
}

bool LeaseDesk::MayLease(const LeaseCall& call,
                         const WorkerRegistry::Session& worker) {
  const bool is_ending = !HasTimeFor(call.request, worker);
  workers_.NoteEnding(call.request.session(), is_ending);
  return !worker.is_closed && !is_ending;
}

std::optional<LeaseWish> LeaseDesk::WishOf(LeaseCall& call, int active_workers,
                                           bool has_news) {
  const absl::Time now = SteadyNow();
  const std::string& session = call.request.session();
  absl::StatusOr<WorkerRegistry::Session> worker = workers_.Hear(session, now);
  if (!worker.ok()) {
    std::exchange(call.answer, nullptr)(worker.status());
    return std::nullopt;
  }
  if (worker->is_draining && has_news) {
    // It hears that it is to drain when it renews, and then ends.
    std::exchange(call.answer, nullptr)(v1::LeaseTrialsResponse());
    return std::nullopt;
  }
  if (!MayLease(call, *worker)) return std::nullopt;
  return LeaseWish{session, std::move(worker->profile), call.request.slots(),
                   holds_.HeldFrom(session, active_workers, now)};
}

std::vector<LeaseCall> LeaseDesk::AnswerGranted(std::vector<LeaseCall> calls,
                                                bool has_news) {
  std::vector<LeaseCall> waiting;
  std::vector<LeaseCall> asking;
  std::vector<LeaseWish> wishes;
  const int active_workers = workers_.CountActive(SteadyNow());
  for (LeaseCall& call : calls) {
    std::optional<LeaseWish> wish = WishOf(call, active_workers, has_news);
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
  std::vector<Grant> grants;
  for (size_t i = 0; i < asking.size(); ++i) {
    if (!granted.ok()) {
      asking[i].answer(granted.status());
    } else if ((*granted)[i].empty()) {
      waiting.push_back(std::move(asking[i]));
    } else {
      grants.push_back({std::move(asking[i]), std::move((*granted)[i])});
    }
  }
  Announce(grants);
  return waiting;
}

void LeaseDesk::Announce(std::vector<Grant>& grants) {
  const absl::Time expires_at = SteadyNow() + times_.ttl;
  TermsByJob terms;
  int leases = 0;
  for (const Grant& grant : grants) {
    for (const GrantedLease& lease : grant.leases) {
      leases_.Add(lease.fence, grant.call.request.session(), lease.trial.name(),
                  expires_at);
      terms.emplace(JobOfTrial(lease.trial.name()), JobTerms());
      ++leases;
    }
  }
  metrics_.CountLeases(leases);
  for (auto& [job, of_job] : terms) {
    of_job = TermsOf(job);
    signals_.job_changed(job);
  }
  for (Grant& grant : grants) Answer(grant, terms);
}

void LeaseDesk::Answer(Grant& grant, const TermsByJob& terms) {
  v1::LeaseTrialsResponse response;
  std::vector<int64_t> fences;
  for (GrantedLease& lease : grant.leases) {
    fences.push_back(lease.fence);
    const auto of_job = terms.find(JobOfTrial(lease.trial.name()));
    if (!of_job->second.ok()) {
      // A lease that is not announced here expires.
      return grant.call.answer(of_job->second.status());
    }
    absl::StatusOr<v1::Lease> made =
        MakeLease(std::move(lease), *of_job->second);
    if (!made.ok()) return grant.call.answer(made.status());
    *response.add_leases() = *std::move(made);
  }
  if (!grant.call.is_gone()) return grant.call.answer(std::move(response));
  // What cannot be given back now expires.
  Release(fences, "the worker left").IgnoreError();
  grant.call.answer(absl::CancelledError("the caller left"));
}

absl::StatusOr<JobTerms> LeaseDesk::TermsOf(const std::string& job) {
  LATHE_ASSIGN_OR_RETURN(const v1::JobState state, store_.GetJobState(job));
  if (IsFinal(state)) {
    LATHE_RETURN_IF_ERROR(store_.EndAttempts(leases_.Unwant(job),
                                             "the job has ended", absl::Now()));
  }
  return terms_.Of(job);
}

absl::StatusOr<v1::Lease> LeaseDesk::MakeLease(GrantedLease granted,
                                               const JobTerms& terms) const {
  v1::Lease lease;
  LATHE_ASSIGN_OR_RETURN(v1::Rivals rivals, RivalsOf(terms.spec, granted.trial,
                                                     store_, frontiers_));
  if (rivals.predicted_latency_ratio() > 0) {
    *lease.mutable_rivals() = std::move(rivals);
  }
  v1::Trial& trial = granted.trial;
  lease.set_fence(granted.fence);
  lease.set_trial(trial.name());
  *lease.mutable_spec() = terms.spec;
  *lease.mutable_plan() = std::move(*trial.mutable_proposal()->mutable_plan());
  lease.set_trial_number(trial.number());
  lease.set_activation_stats_digest(terms.activation_stats_digest);
  lease.set_ttl_seconds(absl::ToDoubleSeconds(times_.ttl));
  return lease;
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
  std::vector<LeaseCall> parked;
  std::vector<LeaseCall> arrived;
  {
    absl::MutexLock lock(&mu_);
    is_closed_ = true;
    parked.swap(parked_);
    arrived.swap(arrived_);
  }
  for (LeaseCall& call : parked) call.answer(v1::LeaseTrialsResponse());
  for (LeaseCall& call : arrived) call.answer(v1::LeaseTrialsResponse());
}

}  // namespace lathe
