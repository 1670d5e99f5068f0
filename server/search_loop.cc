#include "server/search_loop.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/agent.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/fidelity.h"
#include "proto/names.h"
#include "proto/plan.h"
#include "server/experience.h"
#include "server/job_spec_check.h"

namespace lathe {
namespace {

// The loop also looks by itself: workers are lost silently.
constexpr absl::Duration kLookInterval = absl::Seconds(30);
constexpr absl::Duration kWaitAfterError = absl::Seconds(1);
// Enough to keep workers busy while the agent thinks, few enough that
// proposals are not stale.
constexpr int kPendingPerWorker = 2;
constexpr int kLeastPending = 2;
// One trial in so many may come from earlier jobs.
constexpr int64_t kWarmStartShare = 4;
// The agent learns, or proposes, for about so long at a time (one result or
// proposal at least): enough for one transaction to take in many from a quick
// agent, short against what a worker with another trial at hand would notice.
constexpr absl::Duration kThoughtSlice = absl::Milliseconds(20);

// A restart replays at most about so many trials; the default agent thinks for
// some 20 ms about each, and a snapshot has up to a few megabytes.
constexpr int64_t kTrialsPerSnapshot = 100;

int64_t CountAll(const v1::TrialCounts& counts) {
  return counts.pending() + counts.leased() + counts.measured() +
         counts.infeasible() + counts.failed() + counts.quarantined();
}

}  // namespace

SearchLoop::SearchLoop(std::string job, const SearchLoopParts& parts)
    : job_(std::move(job)), parts_(parts), thread_([this] { Run(); }) {}

SearchLoop::~SearchLoop() {
  RequestStop();
  thread_.join();
}

void SearchLoop::RequestStop() {
  is_stopping_ = true;
  wakeup_.Set();
}

SearchLoopStatus SearchLoop::status() const {
  absl::MutexLock lock(&status_mu_);
  return status_;
}

void SearchLoop::BeginThought() {
  absl::MutexLock lock(&status_mu_);
  status_.thinking_since = SteadyNow();
}

absl::Duration SearchLoop::EndThought(absl::string_view thought) {
  absl::MutexLock lock(&status_mu_);
  const absl::Duration took = SteadyNow() - *status_.thinking_since;
  parts_.metrics->ObserveThought(thought, took);
  status_.thinking_since.reset();
  return took;
}

void SearchLoop::SetError(const absl::Status& error) {
  absl::MutexLock lock(&status_mu_);
  status_.error = error.ok() ? "" : error.ToString();
}

void SearchLoop::Run() {
  while (!is_stopping_) {
    const absl::StatusOr<Next> next = Step();
    SetError(next.status());
    if (!next.ok()) {
      if (absl::IsNotFound(next.status())) break;  // The job was deleted.
      LATHE_LOG(kWarning) << job_ << ": " << next.status();
      parts_.metrics->CountSearchError();
      WaitAfterError();
      continue;
    }
    if (*next == Next::kEnd) break;
    if (*next == Next::kWait) wakeup_.WaitUntil(SteadyNow() + kLookInterval);
  }
  driver_.reset();
  has_ended_ = !is_stopping_;
}

void SearchLoop::WaitAfterError() {
  // What the agent was told may not be what was stored.
  driver_.reset();
  unlearned_.clear();
  const absl::Time until = SteadyNow() + kWaitAfterError;
  while (!is_stopping_ && SteadyNow() < until) wakeup_.WaitUntil(until);
}

absl::StatusOr<SearchLoop::Next> SearchLoop::Step() {
  LATHE_ASSIGN_OR_RETURN(const JobProgress progress,
                         parts_.store->GetProgress(job_));
  if (IsFinal(progress.state)) return Next::kEnd;
  const int64_t trials = CountAll(progress.counts);
  if (trials == 0) {
    LATHE_RETURN_IF_ERROR(AddBaselineTrial());
    return Next::kGoOn;
  }
  if (progress.state == v1::PENDING && progress.counts.pending() < trials) {
    LATHE_RETURN_IF_ERROR(parts_.control->Start(job_));
  }
  if (!progress.has_baseline) return StepBeforeBaseline();
  if (progress.counts.failed() > 0) return FailForInput();
  if (driver_ == nullptr) {
    LATHE_ASSIGN_OR_RETURN(const v1::Job job, parts_.store->GetJob(job_));
    LATHE_ASSIGN_OR_RETURN(const bool is_made, MakeDriver(job));
    return is_made ? Next::kGoOn : Next::kEnd;
  }
  if (unlearned_.empty()) {
    LATHE_ASSIGN_OR_RETURN(std::vector<v1::Trial> unlearned,
                           parts_.store->Unlearned(job_));
    unlearned_.assign(std::make_move_iterator(unlearned.begin()),
                      std::make_move_iterator(unlearned.end()));
  }
  const bool proposes_first =
      has_learned_since_proposal_ && IsShortOfTrials(progress);
  if (!unlearned_.empty() && !proposes_first) {
    LATHE_RETURN_IF_ERROR(LearnSome());
    return Next::kGoOn;
  }
  return progress.state == v1::PAUSED ? Next::kWait : ProposeOrEnd(progress);
}

absl::Status SearchLoop::AddBaselineTrial() {
  // The empty plan: workers know it as the uncompressed model, whose layers
  // are not known here yet.
  v1::Proposal proposal;
  proposal.set_source(kBaselineSource);
  LATHE_RETURN_IF_ERROR(parts_.control->AddTrials(job_, {proposal}));
  parts_.signals->trials_pending();
  return absl::OkStatus();
}

absl::StatusOr<SearchLoop::Next> SearchLoop::StepBeforeBaseline() {
  LATHE_ASSIGN_OR_RETURN(
      const v1::Trial baseline,
      parts_.store->GetTrial(absl::StrCat(job_, "/trials/0")));
  if (!IsFinal(baseline.state())) return Next::kWait;
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, parts_.store->GetJob(job_));
  // Measured since the job was first read.
  if (job.has_baseline()) return Next::kGoOn;
  LATHE_RETURN_IF_ERROR(parts_.control->Fail(
      job_, absl::StrCat("the uncompressed model could not be measured: ",
                         baseline.state_reason())));
  return Next::kEnd;
}

absl::StatusOr<SearchLoop::Next> SearchLoop::FailForInput() {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         parts_.store->AllTrials(job_));
  const auto failed = std::find_if(
      trials.begin(), trials.end(),
      [](const v1::Trial& trial) { return trial.state() == v1::TRIAL_FAILED; });
  if (failed == trials.end()) {
    return absl::InternalError(
        "the trial that is counted as failed is missing");
  }
  LATHE_RETURN_IF_ERROR(parts_.control->Fail(
      job_, absl::StrCat("the model or data cannot be used any more: trial ",
                         failed->number(), ": ", failed->state_reason())));
  return Next::kEnd;
}

absl::StatusOr<bool> SearchLoop::MakeDriver(const v1::Job& job) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         parts_.store->AllTrials(job_));
  if (trials.empty() || !trials[0].has_measurement()) {
    return absl::InternalError("trial 0 of a job with a baseline is missing");
  }
  if (job.baseline().space().layers().empty() && job.spec().trials() > 1) {
    LATHE_RETURN_IF_ERROR(parts_.control->Fail(
        job_, "the model has no layer that can be compressed"));
    return false;
  }
  LATHE_ASSIGN_OR_RETURN(const AgentContext context,
                         BeginAgentContext(job, trials[0], *parts_.store));
  BeginThought();
  absl::StatusOr<RestoredDriver> restored =
      RestoreDriver(job, context, trials, *parts_.store);
  EndThought("replay");
  if (absl::IsFailedPrecondition(restored.status()) ||
      absl::IsInvalidArgument(restored.status())) {
    LATHE_RETURN_IF_ERROR(
        parts_.control->Fail(job_, restored.status().message()));
    return false;
  }
  LATHE_RETURN_IF_ERROR(restored.status());
  baseline_ = trials[0].measurement();
  exhausted_after_.reset();
  const int differences = restored->differences;
  if (differences > 0) {
    LATHE_LOG(kWarning) << job_ << ": on replay the agent proposed "
                        << differences
                        << " other plans than are stored; those stored count";
  }
  frontier_.emplace(ObjectivesOf(job.spec()));
  for (const v1::Trial& trial : trials) {
    if (trial.learn_sequence() > 0) frontier_->Add(trial);
  }
  driver_ = std::move(restored->driver);
  snapshot_after_ = driver_->learned();
  job_record_ = job;
  finalists_.reset();
  if (HasLooks(job.spec())) {
    LATHE_RETURN_IF_ERROR(MakeFinalists(trials));
  }
  LATHE_RETURN_IF_ERROR(AddFirstPlans(trials));
  return true;
}

absl::StatusOr<std::vector<v1::Proposal>> SearchLoop::WarmStartProposals() {
  const v1::Job& job = job_record_;
  std::vector<v1::Proposal> proposals;
  std::set<std::string> seen;
  for (const std::string& source : job.spec().warm_start_jobs()) {
    const absl::StatusOr<std::vector<int64_t>> numbers =
        parts_.store->FrontierNumbers(source);
    // Deleted since the job was made.
    if (absl::IsNotFound(numbers.status())) continue;
    LATHE_RETURN_IF_ERROR(numbers.status());
    for (const int64_t number : *numbers) {
      const std::string name = absl::StrCat(source, "/trials/", number);
      LATHE_ASSIGN_OR_RETURN(const v1::Trial trial,
                             parts_.store->GetTrial(name));
      const v1::CompressionPlan& plan = trial.proposal().plan();
      // Trial 0 is here already; another network's plans are not legal.
      if (number == 0 || !ValidatePlan(job.baseline().space(), plan).ok() ||
          !seen.insert(PlanDigest(plan)).second) {
        continue;
      }
      v1::Proposal& proposal = proposals.emplace_back();
      *proposal.mutable_plan() = plan;
      proposal.set_source(absl::StrCat(kWarmStartPrefix, name));
    }
  }
  return proposals;
}

absl::Status SearchLoop::AddFirstPlans(absl::Span<const v1::Trial> trials) {
  if (std::any_of(trials.begin(), trials.end(), IsAgentsOwn)) {
    return absl::OkStatus();
  }
  std::set<std::string> known;
  for (const v1::Trial& trial : trials) known.insert(trial.plan_digest());
  std::vector<v1::Proposal> proposals;
  for (const v1::CompressionPlan& plan : job_record_.spec().first_plans()) {
    if (!ValidatePlan(job_record_.baseline().space(), plan).ok() ||
        !known.insert(PlanDigest(plan)).second) {
      continue;
    }
    v1::Proposal& proposal = proposals.emplace_back();
    *proposal.mutable_plan() = plan;
    proposal.set_source(kUserSource);
  }
  LATHE_RETURN_IF_ERROR(AddNew(proposals));
  return AddWarmStart(known);
}

absl::Status SearchLoop::AddWarmStart(std::set<std::string>& known) {
  LATHE_ASSIGN_OR_RETURN(std::vector<v1::Proposal> proposals,
                         WarmStartProposals());
  const auto most =
      static_cast<size_t>(job_record_.spec().trials() / kWarmStartShare);
  // Spread over the frontiers, which are ordered.
  const size_t count = std::min(most, proposals.size());
  std::vector<v1::Proposal> chosen;
  for (size_t i = 0; i < count; ++i) {
    v1::Proposal& proposal = proposals[i * proposals.size() / count];
    if (!known.insert(PlanDigest(proposal.plan())).second) continue;
    chosen.push_back(std::move(proposal));
  }
  return Add(std::move(chosen));
}

bool SearchLoop::IsShortOfTrials(const JobProgress& progress) const {
  const v1::TrialCounts& counts = progress.counts;
  return progress.state != v1::PAUSED &&
         CountAll(counts) < job_record_.spec().trials() &&
         exhausted_after_ != driver_->learned() &&
         counts.pending() < parts_.workers->CountActive(SteadyNow());
}

absl::Status SearchLoop::LearnSome() {
  const absl::Time until = SteadyNow() + kThoughtSlice;
  std::vector<Learned> learned;
  BeginThought();
  do {
    const v1::Trial& trial = unlearned_.front();
    Learned& row = learned.emplace_back();
    row.trial_name = trial.name();
    row.reward = driver_->Learn(trial);
    row.learn_sequence = driver_->learned();
    frontier_->Add(trial);
    if (finalists_) finalists_->Add(trial);
    unlearned_.pop_front();
  } while (!unlearned_.empty() && SteadyNow() < until);
  thought_ += EndThought("learn");
  has_learned_since_proposal_ = true;
  LATHE_RETURN_IF_ERROR(
      parts_.store->RecordLearned(job_, learned, frontier_->Numbers()));
  if (driver_->learned() >= snapshot_after_ + kTrialsPerSnapshot) {
    snapshot_after_ = driver_->learned();
    LATHE_RETURN_IF_ERROR(SaveSnapshot(job_, *driver_, *parts_.store));
  }
  parts_.signals->job_changed(job_);
  return absl::OkStatus();
}

absl::StatusOr<SearchLoop::Next> SearchLoop::ProposeOrEnd(
    const JobProgress& progress) {
  const v1::TrialCounts& counts = progress.counts;
  const bool is_exhausted = exhausted_after_ == driver_->learned();
  int64_t left = job_record_.spec().trials() - CountAll(counts);
  if (finalists_ && left > 0) {
    LATHE_ASSIGN_OR_RETURN(const std::optional<Next> next,
                           MeasureFinalists(left, progress));
    if (next.has_value()) return *next;
    left -= KeptTrials(progress);
  }
  if (left > 0 && !is_exhausted) {
    const int workers = parts_.workers->CountActive(SteadyNow());
    const int wanted = std::max(kLeastPending, kPendingPerWorker * workers);
    if (counts.pending() >= wanted) return Next::kWait;
    return ProposeSome(std::min(left, wanted - counts.pending()));
  }
  if (counts.pending() + counts.leased() > 0) return Next::kWait;
  LATHE_RETURN_IF_ERROR(SaveExperience(job_, *driver_, *parts_.store));
  LATHE_RETURN_IF_ERROR(parts_.control->Finish(job_));
  return Next::kGoOn;
}

absl::StatusOr<SearchLoop::Next> SearchLoop::ProposeSome(int64_t wanted) {
  const absl::Time until = SteadyNow() + kThoughtSlice;
  std::vector<v1::Proposal> proposals;
  has_learned_since_proposal_ = false;
  for (int64_t i = 0; i < wanted && (i == 0 || SteadyNow() < until); ++i) {
    BeginThought();
    absl::StatusOr<v1::Proposal> proposal = driver_->Propose();
    thought_ += EndThought("propose");
    if (absl::IsOutOfRange(proposal.status())) {
      exhausted_after_ = driver_->learned();
      break;
    }
    const absl::Status usable =
        proposal.ok()
            ? ValidatePlan(job_record_.baseline().space(), proposal->plan())
            : proposal.status();
    if (!usable.ok()) return FailForProposal(usable);
    proposal->set_thinking_seconds(
        absl::ToDoubleSeconds(std::exchange(thought_, absl::ZeroDuration())));
    proposals.push_back(*std::move(proposal));
  }
  LATHE_RETURN_IF_ERROR(Add(std::move(proposals)));
  return Next::kGoOn;
}

absl::Status SearchLoop::Add(std::vector<v1::Proposal> proposals) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::optional<v1::Trial>> sources,
                         FindReusable(proposals));
  std::vector<v1::Proposal> fresh;
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (!sources[i].has_value()) {
      fresh.push_back(std::move(proposals[i]));
      continue;
    }
    LATHE_RETURN_IF_ERROR(AddNew(fresh));
    LATHE_RETURN_IF_ERROR(AddReused(proposals[i], *sources[i]));
  }
  return AddNew(fresh);
}

absl::StatusOr<SearchLoop::Next> SearchLoop::FailForProposal(
    const absl::Status& why) {
  // It would do the same again.
  LATHE_RETURN_IF_ERROR(parts_.control->Fail(
      job_,
      absl::StrCat("the agent made no usable proposal: ", why.message())));
  return Next::kEnd;
}

absl::Status SearchLoop::AddReused(const v1::Proposal& proposal,
                                   const v1::Trial& source) {
  LATHE_ASSIGN_OR_RETURN(const v1::Trial reused, parts_.control->AddReusedTrial(
                                                     job_, proposal, source));
  return parts_.frontiers->Add(job_, reused).status();
}

absl::Status SearchLoop::AddNew(std::vector<v1::Proposal>& proposals) {
  if (proposals.empty()) return absl::OkStatus();
  LATHE_RETURN_IF_ERROR(parts_.control->AddTrials(job_, proposals));
  proposals.clear();
  parts_.signals->trials_pending();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<v1::Trial>>> SearchLoop::FindReusable(
    absl::Span<const v1::Proposal> proposals) {
  std::vector<std::string> plans;
  for (const v1::Proposal& proposal : proposals) {
    plans.push_back(PlanDigest(proposal.plan()));
  }
  LATHE_ASSIGN_OR_RETURN(
      std::vector<std::optional<v1::Trial>> sources,
      parts_.store->FindMeasured(job_record_.spec(), plans, baseline_.profile(),
                                 baseline_.evaluator_version()));
  for (size_t i = 0; i < sources.size(); ++i) {
    std::optional<v1::Trial>& source = sources[i];
    if (!source.has_value() || !source->artifact_digest().empty()) continue;
    // On the frontier it would need a model that nobody has kept.
    v1::Trial newest = *source;
    *newest.mutable_proposal() = proposals[i];
    newest.set_number(std::numeric_limits<int64_t>::max());
    LATHE_ASSIGN_OR_RETURN(const bool would_enter,
                           parts_.frontiers->WouldEnter(job_, newest));
    if (would_enter) source.reset();
  }
  return sources;
}

}  // namespace lathe
