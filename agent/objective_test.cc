#include "agent/objective.h"

#include <cmath>

#include "gtest/gtest.h"

namespace lathe {
namespace {

v1::Measurement Baseline() {
  v1::Measurement m;
  m.set_accuracy(0.9);
  m.set_latency_us(200);
  m.set_latency_ratio(1);
  m.set_size_bytes(1000);
  return m;
}

v1::Trial Measured(double accuracy, double kl, double latency_ratio,
                   int64_t size_bytes) {
  v1::Trial trial;
  trial.set_state(v1::TRIAL_MEASURED);
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_accuracy(accuracy);
  m.set_kl_divergence(kl);
  m.set_latency_ratio(latency_ratio);
  m.set_latency_us(200 * latency_ratio);
  m.set_size_bytes(size_bytes);
  return trial;
}

double Sum(const v1::Reward& reward) {
  double sum = 0;
  for (const auto& [name, component] : reward.components()) sum += component;
  return sum;
}

TEST(Objective, TheBaselineIsWorthNothingAndLosesNothing) {
  const Objective objective(Baseline(), {}, {"latency", "size"});
  const v1::Reward reward = objective.Evaluate(Measured(0.9, 0, 1, 1000));
  EXPECT_NEAR(reward.value(), 0, 1e-15);
  EXPECT_TRUE(reward.is_within_budget());
}

TEST(Objective, NamesComponentsThatAddUpToTheValue) {
  v1::Budget budget;
  budget.set_max_latency_ratio(0.4);
  budget.set_max_accuracy_drop(0.01);
  const Objective objective(Baseline(), budget, {"latency", "size"});
  const v1::Reward reward = objective.Evaluate(Measured(0.81, 0.2, 0.5, 400));
  EXPECT_NEAR(reward.value(), Sum(reward), 1e-12);
  const auto& components = reward.components();
  EXPECT_NEAR(components.at("accuracy"), -0.05, 1e-12);
  EXPECT_NEAR(components.at("divergence"), -0.25 * (1 - std::exp(-0.2)), 1e-12);
  // 25 % over the budget.
  EXPECT_NEAR(components.at("latency_penalty"), -1.25, 1e-12);
  EXPECT_NEAR(components.at("size_gain"), 0.2 * 0.6, 1e-12);
  EXPECT_NEAR(components.at("accuracy_penalty"), -5 * 0.08, 1e-12);
  EXPECT_EQ(components.count("latency_gain"), 0u);
  EXPECT_FALSE(reward.is_within_budget());
}

TEST(Objective, TellsPlansOfEqualAccuracyApartByDivergence) {
  const Objective objective(Baseline(), {}, {"latency"});
  EXPECT_GT(objective.Quality(Measured(0.89, 0.01, 1, 1).measurement()),
            objective.Quality(Measured(0.89, 0.02, 1, 1).measurement()));
}

TEST(Objective, OfTwoLatencyBudgetsTheTighterCounts) {
  v1::Budget budget;
  budget.set_max_latency_us(50);
  budget.set_max_latency_ratio(0.5);
  EXPECT_DOUBLE_EQ(*MakeRelativeBudget(budget, Baseline()).latency_ratio, 0.25);
  budget.set_max_latency_us(150);
  EXPECT_DOUBLE_EQ(*MakeRelativeBudget(budget, Baseline()).latency_ratio, 0.5);
  budget.set_max_size_bytes(300);
  EXPECT_DOUBLE_EQ(*MakeRelativeBudget(budget, Baseline()).size_ratio, 0.3);
}

TEST(Objective, AnInfeasiblePlanIsBelowEveryPlanWithinBudget) {
  const Objective objective(Baseline(), {}, {"latency"});
  v1::Trial infeasible;
  infeasible.set_state(v1::TRIAL_INFEASIBLE);
  const v1::Reward reward = objective.Evaluate(infeasible);
  EXPECT_NEAR(reward.value(), Sum(reward), 1e-12);
  EXPECT_LT(reward.value(),
            objective.Evaluate(Measured(0, 100, 1, 1000)).value());
  EXPECT_FALSE(reward.is_within_budget());
}

TEST(Objective, ABaselineWithoutAccuracyDividesByNothing) {
  const Objective objective({}, {}, {"latency", "size"});
  EXPECT_TRUE(
      std::isfinite(objective.Evaluate(Measured(0.5, 1, 0, 5)).value()));
}

}  // namespace
}  // namespace lathe
