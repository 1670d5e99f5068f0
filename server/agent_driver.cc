#include "server/agent_driver.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/status.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// What the search must not choose by.
void ClearHeldOutSplits(v1::Measurement& measurement) {
  measurement.clear_confirmation_correct();
  measurement.clear_confirmation_samples();
  measurement.clear_confirmation_bits();
  measurement.clear_report_accuracy();
  measurement.clear_report_correct();
  measurement.clear_report_samples();
}

// Learned trials in learn order.
std::vector<const v1::Trial*> LearnedTrials(
    absl::Span<const v1::Trial> trials) {
  std::vector<const v1::Trial*> learned;
  for (const v1::Trial& trial : trials) {
    if (trial.learn_sequence() > 0) learned.push_back(&trial);
  }
  std::sort(learned.begin(), learned.end(),
            [](const v1::Trial* a, const v1::Trial* b) {
              return a->learn_sequence() < b->learn_sequence();
            });
  return learned;
}

}  // namespace

bool IsAgentsOwn(const v1::Trial& trial) {
  const std::string& source = trial.proposal().source();
  return trial.number() > 0 && source != kUserSource &&
         !absl::StartsWith(source, kWarmStartPrefix) &&
         !IsSecondMeasurement(trial);
}

AgentContext MakeAgentContext(const v1::Job& job,
                              const v1::Trial& baseline_trial) {
  AgentContext context;
  context.space = job.baseline().space();
  context.latency_table = job.baseline().latency_table();
  context.sensitivity = job.baseline().sensitivity();
  context.baseline = baseline_trial.measurement();
  ClearHeldOutSplits(context.baseline);
  context.budget = job.spec().budget();
  context.objectives.assign(job.spec().objectives().begin(),
                            job.spec().objectives().end());
  context.seed = static_cast<uint64_t>(job.spec().seed());
  context.trials = job.spec().trials();
  return context;
}

AgentDriver::AgentDriver(std::unique_ptr<Agent> agent, v1::SearchSpace space)
    : agent_(std::move(agent)), space_(std::move(space)) {}

int AgentDriver::Replay(absl::Span<const v1::Trial> trials) {
  const std::vector<const v1::Trial*> results = LearnedTrials(trials);
  auto next = static_cast<size_t>(learned_);
  int64_t known = proposals_;
  int differences = 0;
  for (const v1::Trial& trial : trials) {
    if (!IsAgentsOwn(trial) || known-- > 0) continue;
    while (next < results.size() &&
           learned_ < trial.proposal().learned_before()) {
      Learn(*results[next++]);
    }
    const absl::StatusOr<v1::Proposal> again = agent_->Propose();
    ++proposals_;
    if (!again.ok() || PlanDigest(again->plan()) != trial.plan_digest()) {
      ++differences;
    }
  }
  while (next < results.size()) Learn(*results[next++]);
  return differences;
}

absl::StatusOr<v1::Proposal> AgentDriver::Propose() {
  LATHE_ASSIGN_OR_RETURN(v1::Proposal proposal, agent_->Propose());
  ++proposals_;
  proposal.set_learned_before(learned_);
  return proposal;
}

v1::AgentSnapshot AgentDriver::Save() {
  v1::AgentSnapshot snapshot;
  snapshot.set_proposals(proposals_);
  snapshot.set_learned(learned_);
  snapshot.set_state(agent_->Save());
  return snapshot;
}

bool AgentDriver::Restore(const v1::AgentSnapshot& snapshot) {
  proposals_ = snapshot.proposals();
  learned_ = snapshot.learned();
  return agent_->Restore(snapshot.state());
}

std::optional<v1::Reward> AgentDriver::Learn(const v1::Trial& trial) {
  const v1::Trial seen = AsTheAgentSeesIt(trial);
  ++learned_;
  if (trial.state() != v1::TRIAL_MEASURED &&
      trial.state() != v1::TRIAL_INFEASIBLE) {
    agent_->Dismiss(seen);
    return std::nullopt;
  }
  v1::Reward reward = agent_->Evaluate(seen);
  agent_->Learn(seen);
  return reward;
}

v1::Trial AgentDriver::AsTheAgentSeesIt(const v1::Trial& trial) const {
  v1::Trial seen = trial;
  // What was set after the trial ended would differ on replay.
  seen.clear_reward();
  seen.clear_learn_sequence();
  seen.clear_artifact_digest();
  if (seen.has_measurement()) ClearHeldOutSplits(*seen.mutable_measurement());
  if (seen.number() == 0) {
    *seen.mutable_proposal()->mutable_plan() = BaselinePlan(space_);
  }
  return seen;
}

}  // namespace lathe
