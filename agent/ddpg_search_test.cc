// The searches of HAQ and AMC: networks, warm-up, noise, and what they
// remember.
#include "agent/ddpg_search.h"

#include <cmath>

#include "absl/algorithm/container.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class DdpgSearchTest : public ::testing::TestWithParam<const DdpgMethod*> {
 protected:
  DdpgSearchTest() {
    SyntheticOptions options;
    options.layers = 4;
    options.keep_levels = 3;
    core_ = *SearchCore::Make(SyntheticNetwork(options).Context(1, 100));
  }

  const DdpgMethod& method() const { return *GetParam(); }
  std::unique_ptr<SearchCore> core_;
};

INSTANTIATE_TEST_SUITE_P(Both, DdpgSearchTest,
                         ::testing::Values(&DdpgMethod::Haq(),
                                           &DdpgMethod::Amc()),
                         [](const auto& info) { return info.param->name; });

TEST_P(DdpgSearchTest, RemembersWhatWasExecuted) {
  DdpgSearch search(core_.get(), &method(), 50, /*seed=*/1);
  Random random(2);
  search.Roll(0.5, &random);
  // Not what was rolled.
  Choices executed;
  for (const Decision& decision : core_->space().decisions()) {
    executed.push_back(decision.count - 1);
  }
  search.Execute(0.5, executed);
  EXPECT_TRUE(search.memory().empty());
  search.Reward(executed, -0.5, &random);
  // A step a layer, of what is decided there.
  const DecisionSpace& space = core_->space();
  ASSERT_EQ(search.memory().size(), 4u);
  int actions = 0;
  for (int layer = 0; layer < 4; ++layer) {
    const Transition& remembered = search.memory()[layer];
    EXPECT_EQ(remembered.reward, -0.5f);
    for (const Decision& decision : space.decisions()) {
      if (decision.layer != layer || decision.count == 1) continue;
      const DdpgMethod::Axis axis = DdpgMethod::AxisOf(decision);
      EXPECT_EQ(remembered.actions.has[axis], 1);
      EXPECT_EQ(
          method().ToChoice(space, decision, remembered.actions.values[axis]),
          decision.count - 1);
      ++actions;
    }
    // The next step's state ends with these actions.
    if (layer == 3) {
      EXPECT_TRUE(remembered.next_state.empty());
      continue;
    }
    EXPECT_EQ(remembered.next_state, search.memory()[layer + 1].state);
    EXPECT_EQ(remembered.next_has, search.memory()[layer + 1].actions.has);
    const std::vector<float> last(
        remembered.next_state.end() - DdpgMethod::kAxisCount,
        remembered.next_state.end());
    EXPECT_EQ(last, remembered.actions.values);
  }
  EXPECT_EQ(actions, absl::c_count_if(space.decisions(), [](const Decision& d) {
              return d.count > 1;
            }));
}

TEST_P(DdpgSearchTest, AnActionThatAStepLacksIsOne) {
  DdpgSearch search(core_.get(), &method(), 50, /*seed=*/1);
  Random random(2);
  const Choices plan = search.Roll(0.5, &random);
  search.Execute(0.5, plan);
  search.Reward(plan, -0.5, &random);
  int lacking = 0;
  for (const Transition& step : search.memory()) {
    for (int axis = 0; axis < DdpgMethod::kAxisCount; ++axis) {
      if (step.actions.has[axis] == 1) continue;
      EXPECT_EQ(step.actions.values[axis], 1);
      ++lacking;
    }
  }
  // The last layer keeps its channels.
  EXPECT_GT(lacking, 0);
}

TEST_P(DdpgSearchTest, PlansKeepTheBudgetAsPredicted) {
  DdpgSearch search(core_.get(), &method(), 40, /*seed=*/3);
  const Limits limits = LimitsOf(*core_, search.BudgetAt(0.3));
  Random random(4);
  for (int i = 0; i < 40; ++i) {
    const Choices plan = search.Roll(0.3, &random);
    EXPECT_TRUE(core_->IsWithin(plan, limits)) << "episode " << i;
    search.Execute(0.3, plan);
    search.Reward(plan, -0.1 * (i % 3), &random);
  }
}

TEST_P(DdpgSearchTest, NoiseStartsAtAHalfAndDecaysAsInTheSource) {
  DdpgSearch search(core_.get(), &method(), 60, /*seed=*/5);
  Random random(6);
  for (int i = 0; i < search.warm_up(); ++i) search.Roll(0.5, &random);
  EXPECT_NEAR(search.noise(), 0.5, 1e-12);
  for (int i = 0; i < 30; ++i) search.Roll(0.5, &random);
  EXPECT_NEAR(search.noise(), 0.5 * std::pow(method().noise_decay, 30), 1e-12);
}

// HAQ's networks serve all budgets.
TEST(DdpgSearchOfHaq, RemembersTheBudget) {
  const auto core = *SearchCore::Make(SyntheticNetwork({}).Context(1, 100));
  DdpgSearch search(core.get(), &DdpgMethod::Haq(), 50, /*seed=*/1);
  Random random(2);
  for (const double looseness : {0.25, 0.75}) {
    const Choices plan = search.Roll(looseness, &random);
    EXPECT_TRUE(
        core->IsWithin(plan, LimitsOf(*core, search.BudgetAt(looseness))));
    search.Execute(looseness, plan);
    search.Reward(plan, -0.5, &random);
    constexpr int kAt = 8;
    EXPECT_EQ(search.memory().back().state[kAt], looseness);
  }
}

}  // namespace
}  // namespace lathe
