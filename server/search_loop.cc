#include "server/search_loop.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/agent.h"
#include "agent/frontier.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/names.h"
#include "proto/plan.h"

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

int64_t CountAll(const v1::TrialCounts& counts) {
  return counts.pending() + counts.leased() + counts.measured() +
         counts.infeasible() + counts.failed() + counts.quarantined();
}

std::vector<std::string> ObjectivesOf(const v1::Job& job) {
  return {job.spec().objectives().begin(), job.spec().objectives().end()};
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

void SearchLoop::Run() {
  while (!is_stopping_) {
    const absl::StatusOr<Next> next = Step();
    if (!next.ok()) {
      if (absl::IsNotFound(next.status())) break;  // The job was deleted.
      LATHE_LOG(kWarning) << job_ << ": " << next.status();
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
  const absl::Time until = SteadyNow() + kWaitAfterError;
  while (!is_stopping_ && SteadyNow() < until) wakeup_.WaitUntil(until);
}

absl::StatusOr<SearchLoop::Next> SearchLoop::Step() {
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, parts_.store->GetJob(job_));
  if (IsFinal(job.state())) return Next::kEnd;
  const int64_t trials = CountAll(job.counts());
  if (trials == 0) {
    LATHE_RETURN_IF_ERROR(AddBaselineTrial());
    return Next::kGoOn;
  }
  if (job.state() == v1::PENDING && job.counts().pending() < trials) {
    LATHE_RETURN_IF_ERROR(parts_.control->Start(job_));
  }
  if (!job.has_baseline()) return StepBeforeBaseline();
  if (driver_ == nullptr) {
    LATHE_ASSIGN_OR_RETURN(const bool is_made, MakeDriver(job));
    return is_made ? Next::kGoOn : Next::kEnd;
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> unlearned,
                         parts_.store->Unlearned(job_));
  if (!unlearned.empty()) {
    LATHE_RETURN_IF_ERROR(Learn(job, unlearned));
    return Next::kGoOn;
  }
  return job.state() == v1::PAUSED ? Next::kWait : ProposeOrEnd(job);
}

absl::Status SearchLoop::AddBaselineTrial() {
  // The empty plan: workers know it as the uncompressed model, whose layers
  // are not known here yet.
  v1::Proposal proposal;
  proposal.set_source(kBaselineSource);
  LATHE_RETURN_IF_ERROR(parts_.control->AddTrial(job_, proposal).status());
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
  absl::StatusOr<std::unique_ptr<Agent>> agent =
      MakeAgent(job.spec().agent(), MakeAgentContext(job, trials[0]));
  if (!agent.ok()) {
    LATHE_RETURN_IF_ERROR(parts_.control->Fail(job_, agent.status().message()));
    return false;
  }
  baseline_ = trials[0].measurement();
  exhausted_after_.reset();
  auto driver =
      std::make_unique<AgentDriver>(*std::move(agent), job.baseline().space());
  const int differences = driver->Replay(trials);
  if (differences > 0) {
    LATHE_LOG(kWarning) << job_ << ": on replay the agent proposed "
                        << differences
                        << " other plans than are stored; those stored count";
  }
  frontier_.clear();
  for (const v1::Trial& trial : trials) {
    if (trial.learn_sequence() > 0) AddToFrontier(job, trial);
  }
  driver_ = std::move(driver);
  if (trials.size() == 1) LATHE_RETURN_IF_ERROR(AddWarmStart(job));
  return true;
}

absl::StatusOr<std::vector<v1::Proposal>> SearchLoop::WarmStartProposals(
    const v1::Job& job) {
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

absl::Status SearchLoop::AddWarmStart(const v1::Job& job) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Proposal> proposals,
                         WarmStartProposals(job));
  const auto most = static_cast<size_t>(job.spec().trials() / kWarmStartShare);
  // Spread over the frontiers, which are ordered.
  const size_t count = std::min(most, proposals.size());
  for (size_t i = 0; i < count; ++i) {
    LATHE_RETURN_IF_ERROR(
        AddProposal(job, proposals[i * proposals.size() / count]));
  }
  return absl::OkStatus();
}

void SearchLoop::AddToFrontier(const v1::Job& job, const v1::Trial& trial) {
  if (trial.state() != v1::TRIAL_MEASURED) return;
  frontier_.push_back(FrontierPoint(trial));
  std::vector<v1::Trial> kept;
  for (const int i : ParetoFrontier(frontier_, ObjectivesOf(job))) {
    kept.push_back(frontier_[i]);
  }
  frontier_ = std::move(kept);
}

absl::Status SearchLoop::Learn(const v1::Job& job,
                               const std::vector<v1::Trial>& unlearned) {
  std::vector<Learned> learned;
  for (const v1::Trial& trial : unlearned) {
    Learned& row = learned.emplace_back();
    row.trial_name = trial.name();
    row.reward = driver_->Learn(trial);
    row.learn_sequence = driver_->learned();
    AddToFrontier(job, trial);
  }
  std::vector<int64_t> frontier;
  for (const v1::Trial& trial : frontier_) frontier.push_back(trial.number());
  std::sort(frontier.begin(), frontier.end());
  LATHE_RETURN_IF_ERROR(parts_.store->RecordLearned(job_, learned, frontier));
  parts_.signals->job_changed(job_);
  return absl::OkStatus();
}

absl::StatusOr<SearchLoop::Next> SearchLoop::ProposeOrEnd(const v1::Job& job) {
  const v1::TrialCounts& counts = job.counts();
  const bool is_exhausted = exhausted_after_ == driver_->learned();
  if (CountAll(counts) < job.spec().trials() && !is_exhausted) {
    const int workers = parts_.workers->CountActive(SteadyNow());
    const int wanted = std::max(kLeastPending, kPendingPerWorker * workers);
    return counts.pending() < wanted ? ProposeOne(job) : Next::kWait;
  }
  if (counts.pending() + counts.leased() > 0) return Next::kWait;
  LATHE_RETURN_IF_ERROR(parts_.control->Finish(job_));
  return Next::kGoOn;
}

absl::StatusOr<SearchLoop::Next> SearchLoop::ProposeOne(const v1::Job& job) {
  const absl::StatusOr<v1::Proposal> proposal = driver_->Propose();
  if (absl::IsOutOfRange(proposal.status())) {
    exhausted_after_ = driver_->learned();
    return Next::kGoOn;
  }
  const absl::Status usable =
      proposal.ok() ? ValidatePlan(job.baseline().space(), proposal->plan())
                    : proposal.status();
  if (usable.ok()) {
    LATHE_RETURN_IF_ERROR(AddProposal(job, *proposal));
    return Next::kGoOn;
  }
  // It would do the same again.
  LATHE_RETURN_IF_ERROR(parts_.control->Fail(
      job_,
      absl::StrCat("the agent made no usable proposal: ", usable.message())));
  return Next::kEnd;
}

absl::Status SearchLoop::AddProposal(const v1::Job& job,
                                     const v1::Proposal& proposal) {
  LATHE_ASSIGN_OR_RETURN(const std::optional<v1::Trial> source,
                         FindReusable(job, proposal));
  if (source.has_value()) {
    LATHE_ASSIGN_OR_RETURN(
        const v1::Trial reused,
        parts_.control->AddReusedTrial(job_, proposal, *source));
    return parts_.frontiers->Add(job, reused).status();
  }
  LATHE_RETURN_IF_ERROR(parts_.control->AddTrial(job_, proposal).status());
  parts_.signals->trials_pending();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::Trial>> SearchLoop::FindReusable(
    const v1::Job& job, const v1::Proposal& proposal) {
  LATHE_ASSIGN_OR_RETURN(
      std::optional<v1::Trial> source,
      parts_.store->FindMeasured(job.spec(), PlanDigest(proposal.plan()),
                                 baseline_.profile(),
                                 baseline_.evaluator_version()));
  if (!source.has_value() || !source->artifact_digest().empty()) {
    return source;
  }
  // On the frontier it would need a model that nobody has kept.
  LATHE_ASSIGN_OR_RETURN(const bool would_enter,
                         parts_.frontiers->WouldEnter(job, *source));
  if (would_enter) return std::nullopt;
  return source;
}

}  // namespace lathe
