// The searches of HAQ and AMC: networks, warm-up, noise, and what they
// remember.
#include "agent/budget_ddpg.h"

#include <cmath>

#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class BudgetDdpgTest : public ::testing::TestWithParam<const DdpgMethod*> {
 protected:
  BudgetDdpgTest() {
    SyntheticOptions options;
    options.layers = 4;
    options.keep_levels = 3;
    core_ = *SearchCore::Make(SyntheticNetwork(options).Context(1, 100));
  }

  const DdpgMethod& method() const { return *GetParam(); }
  std::unique_ptr<SearchCore> core_;
};

INSTANTIATE_TEST_SUITE_P(Both, BudgetDdpgTest,
                         ::testing::Values(&DdpgMethod::Haq(),
                                           &DdpgMethod::Amc()),
                         [](const auto& info) { return info.param->name; });

TEST_P(BudgetDdpgTest, RemembersWhatWasExecuted) {
  BudgetDdpg search(core_.get(), &method(), 0.5, 50, /*seed=*/1);
  Random random(2);
  search.Roll(&random);
  // Not what was rolled.
  Choices executed;
  for (const Decision& decision : core_->space().decisions()) {
    executed.push_back(decision.count - 1);
  }
  search.Execute(executed);
  EXPECT_TRUE(search.memory().empty());
  search.Reward(executed, -0.5, &random);
  size_t step = 0;
  for (const Decision& decision : core_->space().decisions()) {
    if (decision.count == 1) continue;
    ASSERT_LT(step, search.memory().size());
    const Transition& remembered = search.memory()[step++];
    EXPECT_EQ(method().ToChoice(core_->space(), decision, remembered.action),
              decision.count - 1);
    EXPECT_EQ(remembered.reward, -0.5f);
  }
  EXPECT_EQ(step, search.memory().size());
  EXPECT_TRUE(search.memory().back().next_state.empty());
  // Its last step's state knows the action before.
  EXPECT_EQ(search.memory().back().state.back(),
            search.memory()[step - 2].action);
}

TEST_P(BudgetDdpgTest, PlansKeepTheBudgetAsPredicted) {
  BudgetDdpg search(core_.get(), &method(), 0.3, 40, /*seed=*/3);
  const Limits limits = LimitsOf(*core_, search.budget());
  Random random(4);
  for (int i = 0; i < 40; ++i) {
    const Choices plan = search.Roll(&random);
    EXPECT_TRUE(core_->IsWithin(plan, limits)) << "episode " << i;
    search.Execute(plan);
    search.Reward(plan, -0.1 * (i % 3), &random);
  }
}

TEST_P(BudgetDdpgTest, NoiseStartsAtAHalfAndDecaysAsInTheSource) {
  BudgetDdpg search(core_.get(), &method(), 0.5, 60, /*seed=*/5);
  Random random(6);
  for (int i = 0; i < search.warm_up(); ++i) search.Roll(&random);
  EXPECT_NEAR(search.noise(), 0.5, 1e-12);
  for (int i = 0; i < 30; ++i) search.Roll(&random);
  EXPECT_NEAR(search.noise(), 0.5 * std::pow(method().noise_decay, 30), 1e-12);
}

}  // namespace
}  // namespace lathe
