// HAQ and AMC do what their papers say.
#include "agent/ddpg_method.h"

#include <cmath>

#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class DdpgMethodTest : public ::testing::Test {
 protected:
  DdpgMethodTest() {
    SyntheticOptions options;
    options.layers = 5;
    options.keep_levels = 4;
    core_ = *SearchCore::Make(SyntheticNetwork(options).Context(1, 100));
  }

  const Decision& Find(bool is_keep) const {
    for (const Decision& decision : core_->space().decisions()) {
      if (decision.is_keep == is_keep && decision.count > 1) return decision;
    }
    return core_->space().decisions()[0];
  }

  std::unique_ptr<SearchCore> core_;
};

TEST_F(DdpgMethodTest, HaqSpreadsBitsLinearlyOverTheAction) {
  // Six widths from the least, 0, to the most, 5: equation 2 with these.
  const Decision& bits = Find(/*is_keep=*/false);
  ASSERT_EQ(bits.count, 6);
  for (int i = 1; i < 100; i += 2) {
    const double a = i / 100.0;
    const double b = std::round(0 - 0.5 + a * (5 - 0 + 1));
    EXPECT_EQ(DdpgMethod::Haq().ToChoice(core_->space(), bits, a), 5 - b) << a;
  }
  EXPECT_EQ(DdpgMethod::Haq().ToChoice(core_->space(), bits, 0), 5);
  EXPECT_EQ(DdpgMethod::Haq().ToChoice(core_->space(), bits, 1), 0);
}

TEST_F(DdpgMethodTest, AmcsActionIsTheShareOfChannels) {
  const Decision& keep = Find(/*is_keep=*/true);
  const auto& ratios = core_->space().groups()[keep.group].keep_ratios;
  for (int c = 0; c < keep.count; ++c) {
    EXPECT_EQ(DdpgMethod::Amc().ToChoice(core_->space(), keep, ratios[c]), c);
    EXPECT_EQ(DdpgMethod::Amc().ToAction(core_->space(), keep, c), ratios[c]);
  }
}

TEST_F(DdpgMethodTest, AnActionOfAChoiceMeansThatChoice) {
  for (const DdpgMethod* method : {&DdpgMethod::Haq(), &DdpgMethod::Amc()}) {
    for (const Decision& decision : core_->space().decisions()) {
      for (int c = 0; c < decision.count; ++c) {
        const double action = method->ToAction(core_->space(), decision, c);
        EXPECT_EQ(method->ToChoice(core_->space(), decision, action), c)
            << method->name;
      }
    }
  }
}

TEST_F(DdpgMethodTest, StatesHaveThePapersFeatures) {
  PrefixWalker walker(&core_->reachability());
  std::vector<float> haq =
      DdpgMethod::Haq().State(*core_, walker, 0.3, {0.25f, 0.5f});
  ASSERT_EQ(haq.size(), 11u);
  EXPECT_EQ(DdpgMethod::Haq().StateSize(), 11);
  EXPECT_EQ(haq.front(), 0);  // The first.
  EXPECT_EQ(haq[1], 0);       // The fewest channels in.
  EXPECT_EQ(haq[7], 0);       // Not depthwise.
  EXPECT_EQ(haq[8], 0.3f);    // The budget.
  EXPECT_EQ(haq[9], 0.25);    // The last actions.
  EXPECT_EQ(haq[10], 0.5);
  const std::vector<float> first =
      DdpgMethod::Amc().State(*core_, walker, 0.3, {0.25f, 0.5f});
  ASSERT_EQ(first.size(), 12u);
  EXPECT_EQ(DdpgMethod::Amc().StateSize(), 12);
  EXPECT_NEAR(first[8], 0, 1e-6);  // Nothing is reduced yet.

  // The harshest choices: what is reduced grows, what is left shrinks.
  std::vector<float> before = first;
  while (!walker.is_complete()) {
    const std::vector<float> amc =
        DdpgMethod::Amc().State(*core_, walker, 0.3, {0.5f, 0.5f});
    EXPECT_GE(amc[8], before[8] - 1e-6);
    EXPECT_LE(amc[9], before[9] + 1e-6);
    before = amc;
    walker.Push(walker.next().count - 1);
  }
  EXPECT_GT(before[8], 0.3);
  EXPECT_LT(before[9], 0.2);
}

TEST_F(DdpgMethodTest, RewardsAreThePapers) {
  v1::Measurement baseline;
  baseline.set_accuracy(0.9);
  v1::Trial trial;
  trial.set_state(v1::TRIAL_MEASURED);
  trial.mutable_measurement()->set_accuracy(0.85);
  EXPECT_NEAR(DdpgMethod::Haq().Reward(baseline, trial), 0.1 * -5, 1e-12);
  EXPECT_NEAR(DdpgMethod::Amc().Reward(baseline, trial), -0.15, 1e-12);
  trial.set_state(v1::TRIAL_INFEASIBLE);
  EXPECT_NEAR(DdpgMethod::Amc().Reward(baseline, trial), -1, 1e-12);
}

TEST_F(DdpgMethodTest, HaqLowersBitsFromTheLastOnUntilTheBudgetIsMet) {
  Limits limits;
  limits.us = 0.5 * core_->costs().baseline_us();
  const Choices start(core_->space().size(), 0);
  ASSERT_FALSE(core_->IsWithin(start, limits));
  const Choices lowered = LoweredToLimits(*core_, start, limits);
  EXPECT_TRUE(core_->IsWithin(lowered, limits));
  // In turn: no decision is two steps ahead of one that could follow.
  int most = 0;
  for (const int choice : lowered) most = std::max(most, choice);
  int before = 0;
  for (size_t d = 0; d < lowered.size(); ++d) {
    const int last = core_->space().decisions()[d].count - 1;
    EXPECT_GE(lowered[d], std::min(last, most - 1));
    // Of those that could follow, the later were lowered first.
    if (last < most) continue;
    EXPECT_GE(lowered[d], before);
    before = lowered[d];
  }
  EXPECT_LT(lowered.front(), most);
}

}  // namespace
}  // namespace lathe
