// What every strategy must do, whatever it decides. A test file instantiates
// the suite with the names of strategies:
//
//   INSTANTIATE_TEST_SUITE_P(All, AgentSuite,
//   ::testing::ValuesIn(AgentNames()));
#ifndef LATHE_AGENT_TESTING_AGENT_SUITE_H_
#define LATHE_AGENT_TESTING_AGENT_SUITE_H_

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "agent/agent.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {

class AgentSuite : public ::testing::TestWithParam<std::string> {
 protected:
  static SyntheticOptions Small() {
    SyntheticOptions options;
    options.layers = 6;
    options.keep_levels = 4;
    return options;
  }

  // 2 layers x few choices: 72 plans with the uncompressed one.
  static SyntheticOptions Tiny() {
    SyntheticOptions options;
    options.layers = 2;
    options.keep_levels = 2;
    options.has_low_bits = false;
    return options;
  }

  std::unique_ptr<Agent> Make(const AgentContext& context) const {
    absl::StatusOr<std::unique_ptr<Agent>> agent =
        MakeAgent(GetParam(), context);
    EXPECT_TRUE(agent.ok()) << agent.status();
    return *std::move(agent);
  }

  // `uniform` ends with its grid and does not cover a space.
  bool CoversTheSpace() const { return GetParam() != "uniform"; }

  // The plans of `trials` rounds in which `ahead` proposals are pending, and
  // results arrive last first.
  static std::vector<std::string> Plans(Agent* agent,
                                        const SyntheticNetwork& network,
                                        int trials, int ahead) {
    std::vector<std::string> plans;
    std::vector<v1::Trial> pending;
    while (static_cast<int>(plans.size()) < trials) {
      absl::StatusOr<v1::Proposal> proposal = agent->Propose();
      if (!proposal.ok()) break;
      plans.push_back(proposal->SerializeAsString());
      pending.push_back(
          network.Run(*proposal, static_cast<int64_t>(plans.size())));
      if (static_cast<int>(pending.size()) < ahead) continue;
      while (!pending.empty()) {
        agent->Learn(pending.back());
        pending.pop_back();
      }
    }
    return plans;
  }
};

TEST_P(AgentSuite, ProposesLegalPlansOnceAndNeverTheUncompressedModel) {
  const SyntheticNetwork network(Small());
  const AgentContext context = network.Context(/*seed=*/3, /*trials=*/60);
  std::unique_ptr<Agent> agent = Make(context);
  std::set<std::string> seen = {PlanDigest(BaselinePlan(context.space))};
  for (int64_t number = 1; number < context.trials; ++number) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    if (!proposal.ok() && !CoversTheSpace()) break;
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    EXPECT_TRUE(ValidatePlan(context.space, proposal->plan()).ok())
        << ValidatePlan(context.space, proposal->plan());
    EXPECT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
    EXPECT_TRUE(absl::StartsWith(proposal->source(), GetParam()));
    EXPECT_GT(proposal->predicted_latency_us(), 0);
    agent->Learn(network.Run(*proposal, number));
  }
}

TEST_P(AgentSuite, KeepsPredictionsWithinTheBudgets) {
  const SyntheticNetwork network(Small());
  AgentContext context = network.Context(/*seed=*/4, /*trials=*/50);
  context.objectives = {"latency", "size"};
  context.budget.set_max_latency_ratio(0.4);
  context.budget.set_max_size_ratio(0.5);
  std::unique_ptr<Agent> agent = Make(context);
  const double most_us = 0.4 * context.baseline.latency_us();
  for (int64_t number = 1; number < context.trials; ++number) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    if (!proposal.ok()) break;
    // Probes of single changes are no answers.
    if (!absl::EndsWith(proposal->source(), "/sensitivity")) {
      EXPECT_LE(proposal->predicted_latency_us(), most_us * (1 + 1e-6))
          << proposal->source();
    }
    agent->Learn(network.Run(*proposal, number));
  }
}

TEST_P(AgentSuite, EqualCallsGiveEqualProposalsWhateverElseRuns) {
  const SyntheticNetwork network(Small());
  const AgentContext context = network.Context(/*seed=*/5, /*trials=*/40);
  std::unique_ptr<Agent> first = Make(context);
  const std::vector<std::string> alone = Plans(first.get(), network, 40, 3);

  // The same again, with another agent of the same kind called in between.
  std::unique_ptr<Agent> second = Make(context);
  std::unique_ptr<Agent> other = Make(network.Context(/*seed=*/6, 40));
  std::vector<std::string> beside;
  std::vector<v1::Trial> pending;
  while (beside.size() < alone.size()) {
    Plans(other.get(), network, 1, 1);
    const absl::StatusOr<v1::Proposal> proposal = second->Propose();
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    beside.push_back(proposal->SerializeAsString());
    pending.push_back(
        network.Run(*proposal, static_cast<int64_t>(beside.size())));
    if (pending.size() < 3) continue;
    for (auto it = pending.rbegin(); it != pending.rend(); ++it) {
      second->Learn(*it);
    }
    pending.clear();
  }
  EXPECT_EQ(alone, beside);
}

TEST_P(AgentSuite, ProposesWithoutWaitingForResults) {
  const SyntheticNetwork network(Small());
  std::unique_ptr<Agent> agent = Make(network.Context(/*seed=*/7, 40));
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    EXPECT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
  }
}

TEST_P(AgentSuite, EndsASmallSpaceWithoutProposingAPlanTwice) {
  const SyntheticNetwork network(Tiny());
  const AgentContext context = network.Context(/*seed=*/8, /*trials=*/500);
  std::unique_ptr<Agent> agent = Make(context);
  double plans = 1;
  std::set<int> groups;
  for (const v1::Layer& layer : context.space.layers()) {
    plans *= layer.precisions_size();
    if (groups.insert(layer.group()).second) plans *= layer.keep_ratios_size();
  }
  std::set<std::string> seen;
  absl::StatusOr<v1::Proposal> proposal = agent->Propose();
  while (proposal.ok()) {
    ASSERT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
    ASSERT_LT(seen.size(), plans);
    agent->Learn(network.Run(*proposal, static_cast<int64_t>(seen.size())));
    proposal = agent->Propose();
  }
  EXPECT_EQ(proposal.status().code(), absl::StatusCode::kOutOfRange);
  if (CoversTheSpace()) {
    EXPECT_EQ(seen.size(), plans - 1);
  }
}

TEST_P(AgentSuite, GoesOnFromASnapshotAsIfNothingHadHappened) {
  const SyntheticNetwork network(Small());
  AgentContext context = network.Context(/*seed=*/18, /*trials=*/90);
  for (const bool has_budget : {false, true}) {
    if (has_budget) context.budget.set_max_latency_ratio(0.5);
    for (const int before : {0, 7, 45}) {
      SCOPED_TRACE(before);
      std::unique_ptr<Agent> agent = Make(context);
      Plans(agent.get(), network, before, 3);
      // Two are pending.
      std::vector<v1::Trial> pending;
      for (int i = 0; i < 2; ++i) {
        const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
        ASSERT_TRUE(proposal.ok()) << proposal.status();
        pending.push_back(network.Run(*proposal, before + i + 1));
      }
      const std::string state = agent->Save();
      if (state.empty()) return;
      std::unique_ptr<Agent> restored = Make(context);
      ASSERT_TRUE(restored->Restore(state));
      // Not as text, which would be pages.
      EXPECT_TRUE(restored->Save() == state);
      for (const v1::Trial& trial : pending) {
        agent->Learn(trial);
        restored->Learn(trial);
      }
      EXPECT_EQ(Plans(restored.get(), network, 25, 2),
                Plans(agent.get(), network, 25, 2));
    }
  }
}

TEST_P(AgentSuite, RefusesASnapshotThatIsNoneOfItsOwn) {
  const SyntheticNetwork network(Small());
  const AgentContext context = network.Context(/*seed=*/19, /*trials=*/40);
  std::unique_ptr<Agent> agent = Make(context);
  Plans(agent.get(), network, 12, 1);
  const std::string state = agent->Save();
  if (state.empty()) return;
  EXPECT_FALSE(Make(context)->Restore("something else"));
  EXPECT_FALSE(Make(context)->Restore(state + "x"));
  for (size_t bytes = 0; bytes < state.size(); bytes += state.size() / 40 + 1) {
    EXPECT_FALSE(Make(context)->Restore(state.substr(0, bytes))) << bytes;
  }
}

TEST_P(AgentSuite, AProposalThatFailsChangesNothing) {
  const SyntheticNetwork network(Tiny());
  AgentContext context = network.Context(/*seed=*/17, /*trials=*/500);
  context.budget.set_max_latency_ratio(0.5);
  std::unique_ptr<Agent> asked_often = Make(context);
  std::unique_ptr<Agent> asked_once = Make(context);
  Plans(asked_often.get(), network, 500, 1);
  Plans(asked_once.get(), network, 500, 1);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(asked_often->Propose().ok());
  // A user's plan turns out to be far quicker than thought, so that others may
  // be within the budget.
  v1::Proposal users;
  *users.mutable_plan() = BaselinePlan(context.space);
  users.mutable_plan()->mutable_layers(0)->set_precision(v1::INT8);
  users.mutable_plan()->mutable_layers(0)->set_weight_bits(8);
  users.set_source("user");
  v1::Trial trial = network.Run(users, 1);
  trial.mutable_measurement()->set_latency_ratio(0.2);
  asked_often->Learn(trial);
  asked_once->Learn(trial);
  EXPECT_EQ(Plans(asked_often.get(), network, 500, 1),
            Plans(asked_once.get(), network, 500, 1));
}

TEST_P(AgentSuite, EndsAtOnceWhereThereIsNothingToChoose) {
  SyntheticOptions options;
  options.layers = 1;
  options.keep_levels = 1;
  AgentContext context = SyntheticNetwork(options).Context(/*seed=*/9, 10);
  v1::Layer* layer = context.space.mutable_layers(0);
  layer->mutable_precisions()->DeleteSubrange(1, layer->precisions_size() - 1);
  EXPECT_EQ(Make(context)->Propose().status().code(),
            absl::StatusCode::kOutOfRange);
  context.space.clear_layers();
  EXPECT_EQ(Make(context)->Propose().status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST_P(AgentSuite, CoversANetworkOfOneLayer) {
  SyntheticOptions options;
  options.layers = 1;
  const SyntheticNetwork network(options);
  const AgentContext context = network.Context(/*seed=*/15, /*trials=*/20);
  std::unique_ptr<Agent> agent = Make(context);
  std::set<std::string> seen;
  absl::StatusOr<v1::Proposal> proposal = agent->Propose();
  for (; proposal.ok(); proposal = agent->Propose()) {
    ASSERT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
    agent->Learn(network.Run(*proposal, static_cast<int64_t>(seen.size())));
  }
  EXPECT_EQ(proposal.status().code(), absl::StatusCode::kOutOfRange);
  if (CoversTheSpace()) {
    // All but the uncompressed one.
    EXPECT_EQ(static_cast<int>(seen.size()),
              context.space.layers(0).precisions_size() - 1);
  }
}

TEST_P(AgentSuite, AnswersForABudgetWithinItOrSaysWhyNot) {
  const SyntheticNetwork network(Small());
  const AgentContext context = network.Context(/*seed=*/16, /*trials=*/40);
  std::unique_ptr<Agent> agent = Make(context);
  for (int64_t number = 1; number < 20; ++number) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    agent->Learn(network.Run(*proposal, number));
  }
  v1::Budget budget;
  budget.set_max_latency_ratio(0.6);
  const absl::StatusOr<v1::Proposal> answer = agent->Answer(budget);
  if (absl::IsUnimplemented(answer.status())) return;
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_LE(answer->predicted_latency_us(),
            0.6 * context.baseline.latency_us() * (1 + 1e-6));
  // Asking changes nothing.
  EXPECT_EQ(agent->Answer(budget)->SerializeAsString(),
            answer->SerializeAsString());
  budget.set_max_latency_ratio(1e-4);
  const absl::Status status = agent->Answer(budget).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "least")) << status;
}

TEST_P(AgentSuite, SurvivesWhenEveryPlanIsInfeasible) {
  const SyntheticNetwork network(Small());
  std::unique_ptr<Agent> agent = Make(network.Context(/*seed=*/10, 40));
  std::set<std::string> seen;
  for (int64_t number = 1; number < 40; ++number) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    if (!proposal.ok() && !CoversTheSpace()) break;
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    EXPECT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
    v1::Trial trial = network.Run(*proposal, number);
    trial.set_state(v1::TRIAL_INFEASIBLE);
    trial.clear_measurement();
    EXPECT_LT(agent->Evaluate(trial).value(), -0.5);
    agent->Learn(trial);
  }
}

TEST_P(AgentSuite, DoesNotProposeWhatItDismissed) {
  const SyntheticNetwork network(Tiny());
  const AgentContext context = network.Context(/*seed=*/17, /*trials=*/500);
  std::unique_ptr<Agent> agent = Make(context);
  v1::Trial users;
  v1::CompressionPlan& plan = *users.mutable_proposal()->mutable_plan();
  plan = BaselinePlan(context.space);
  plan.mutable_layers(0)->set_precision(v1::INT8);
  plan.mutable_layers(0)->set_weight_bits(8);
  users.set_state(v1::TRIAL_QUARANTINED);
  agent->Dismiss(users);
  std::set<std::string> seen = {PlanDigest(plan)};
  for (absl::StatusOr<v1::Proposal> proposal = agent->Propose(); proposal.ok();
       proposal = agent->Propose()) {
    ASSERT_TRUE(seen.insert(PlanDigest(proposal->plan())).second);
    v1::Trial trial = network.Run(*proposal, 2);
    if (seen.size() % 2 == 0) {
      agent->Learn(trial);
      continue;
    }
    trial.set_state(v1::TRIAL_QUARANTINED);
    trial.clear_measurement();
    agent->Dismiss(trial);
  }
}

TEST_P(AgentSuite, LearnsFromAUsersPlanAndDoesNotProposeIt) {
  const SyntheticNetwork network(Tiny());
  const AgentContext context = network.Context(/*seed=*/11, 500);
  std::unique_ptr<Agent> agent = Make(context);
  v1::Proposal users;
  *users.mutable_plan() = BaselinePlan(context.space);
  users.mutable_plan()->mutable_layers(0)->set_precision(v1::INT8);
  users.mutable_plan()->mutable_layers(0)->set_weight_bits(8);
  users.set_source("user");
  agent->Learn(network.Run(users, 1));
  for (absl::StatusOr<v1::Proposal> proposal = agent->Propose(); proposal.ok();
       proposal = agent->Propose()) {
    EXPECT_NE(PlanDigest(proposal->plan()), PlanDigest(users.plan()));
    agent->Learn(network.Run(*proposal, 2));
  }
}

TEST_P(AgentSuite, RewardsHaveComponentsThatAddUpAndAMovingBaseline) {
  const SyntheticNetwork network(Small());
  std::unique_ptr<Agent> agent = Make(network.Context(/*seed=*/12, 40));
  double least = 0;
  double most = 0;
  for (int64_t number = 1; number < 20; ++number) {
    const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    ASSERT_TRUE(proposal.ok()) << proposal.status();
    const v1::Trial trial = network.Run(*proposal, number);
    const v1::Reward reward = agent->Evaluate(trial);
    double sum = 0;
    for (const auto& [name, component] : reward.components()) sum += component;
    EXPECT_NEAR(reward.value(), sum, 1e-9);
    EXPECT_GE(reward.moving_baseline(), least);
    EXPECT_LE(reward.moving_baseline(), most);
    least = number == 1 ? reward.value() : std::min(least, reward.value());
    most = number == 1 ? reward.value() : std::max(most, reward.value());
    agent->Learn(trial);
  }
}

TEST_P(AgentSuite, RefusesABudgetThatNothingReachesNamingBothNumbers) {
  AgentContext context = SyntheticNetwork(Small()).Context(/*seed=*/13, 40);
  context.budget.set_max_latency_ratio(0.001);
  absl::Status status = MakeAgent(GetParam(), context).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "0.001")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "least")) << status;
  context.budget.Clear();
  context.budget.set_max_size_bytes(10);
  status = MakeAgent(GetParam(), context).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "10 bytes")) << status;
}

TEST_P(AgentSuite, RefusesASpaceThatContradictsItself) {
  AgentContext context = SyntheticNetwork(Small()).Context(/*seed=*/14, 40);
  context.space.mutable_layers(1)->add_input_groups(99);
  EXPECT_EQ(MakeAgent(GetParam(), context).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace lathe

#endif  // LATHE_AGENT_TESTING_AGENT_SUITE_H_
