// CLADO's objective and its minimum, against enumeration.
#include "agent/quadratic_damage.h"

#include <algorithm>
#include <limits>

#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class QuadraticDamageTest : public ::testing::Test {
 protected:
  QuadraticDamageTest() {
    SyntheticOptions options;
    options.layers = 3;
    options.keep_levels = 3;
    options.has_bf16 = false;
    core_ = *SearchCore::Make(SyntheticNetwork(options).Context(1, 100));
  }

  // Random damages of all single changes, and interactions of all pairs.
  QuadraticDamage Make(Random* random) {
    const DecisionSpace& space = core_->space();
    SensitivityTable singles(&space);
    std::vector<QuadraticDamage::Pair> pairs;
    std::vector<SingleChange> changes;
    for (int d = 0; d < space.size(); ++d) {
      for (int c = 1; c < space.decisions()[d].count; ++c) {
        singles.Set({d, c}, 0.05 * c + 0.1 * random->Uniform());
        for (const SingleChange& other : changes) {
          if (other.decision == d) continue;
          pairs.push_back({other, {d, c}, 0.04 * random->Uniform()});
        }
        changes.push_back({d, c});
      }
    }
    return QuadraticDamage(space, singles, pairs);
  }

  // Damage of the best plan within the limits, by trying all.
  double LeastOfAll(const QuadraticDamage& damage, const Limits& limits) {
    double least = std::numeric_limits<double>::infinity();
    Choices plan(core_->space().size(), 0);
    for (;;) {
      if (core_->IsWithin(plan, limits)) {
        least = std::min(least, damage.Of(plan));
      }
      size_t d = 0;
      while (d < plan.size() &&
             ++plan[d] == core_->space().decisions()[d].count) {
        plan[d++] = 0;
      }
      if (d == plan.size()) return least;
    }
  }

  std::unique_ptr<SearchCore> core_;
};

TEST_F(QuadraticDamageTest, AddsInteractionsToSingleDamages) {
  const DecisionSpace& space = core_->space();
  SensitivityTable singles(&space);
  for (int d = 0; d < space.size(); ++d) {
    for (int c = 1; c < space.decisions()[d].count; ++c) {
      singles.Set({d, c}, 1);
    }
  }
  // Positive semi-definite as given: the projection changes nothing.
  const QuadraticDamage damage(space, singles, {{{0, 1}, {1, 2}, 0.5}});
  Choices plan(space.size(), 0);
  EXPECT_NEAR(damage.Of(plan), 0, 1e-12);
  plan[0] = 1;
  EXPECT_NEAR(damage.Of(plan), 1, 1e-12);
  EXPECT_NEAR(damage.Change(plan, 1, 2), 1.5, 1e-12);
  plan[1] = 2;
  EXPECT_NEAR(damage.Of(plan), 2.5, 1e-12);
}

TEST_F(QuadraticDamageTest, NoCombinationOfHarmsIsAGain) {
  const DecisionSpace& space = core_->space();
  SensitivityTable singles(&space);
  for (int d = 0; d < space.size(); ++d) {
    for (int c = 1; c < space.decisions()[d].count; ++c) {
      singles.Set({d, c}, 0.1);
    }
  }
  // Taken as measured, both together would do -0.8.
  const QuadraticDamage damage(space, singles, {{{0, 1}, {1, 1}, -1}});
  Choices plan(space.size(), 0);
  plan[0] = 1;
  plan[1] = 1;
  EXPECT_GE(damage.Of(plan), -1e-9);
}

TEST_F(QuadraticDamageTest, TheMinimumIsTheBestOfAllPlans) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Random random(seed);
    const QuadraticDamage damage = Make(&random);
    Limits limits;
    limits.us = (0.3 + 0.08 * seed) * core_->costs().baseline_us();
    const Choices found =
        LeastQuadraticDamage(*core_, damage, limits,
                             core_->RandomPlan(limits, 0.5, &random), &random);
    EXPECT_TRUE(core_->IsWithin(found, limits));
    EXPECT_NEAR(damage.Of(found), LeastOfAll(damage, limits), 1e-9)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace lathe
