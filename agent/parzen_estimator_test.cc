#include "agent/parzen_estimator.h"

#include <cmath>
#include <map>

#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

DecisionSpace TwoLayers() {
  SyntheticOptions options;
  options.layers = 2;
  options.keep_levels = 2;
  options.has_low_bits = false;
  return *DecisionSpace::Make(SyntheticNetwork(options).Context(1, 10).space);
}

std::vector<Choices> AllPlans(const DecisionSpace& space) {
  std::vector<Choices> plans = {{}};
  for (const Decision& decision : space.decisions()) {
    std::vector<Choices> longer;
    for (const Choices& plan : plans) {
      for (int c = 0; c < decision.count; ++c) {
        longer.push_back(plan);
        longer.back().push_back(c);
      }
    }
    plans = std::move(longer);
  }
  return plans;
}

TEST(ParzenEstimator, IsADensityAndDrawsFromIt) {
  constexpr int kDraws = 40'000;
  const DecisionSpace space = TwoLayers();
  const std::vector<Choices> plans = AllPlans(space);
  const ParzenEstimator estimator(space, {plans[0], plans[5], plans[7]},
                                  {1, 0.5, 0.2});
  std::map<Choices, int> drawn;
  Random random(3);
  for (int i = 0; i < kDraws; ++i) ++drawn[estimator.Draw(&random)];
  double total = 0;
  for (const Choices& plan : plans) {
    const double probability = std::exp(estimator.LogDensity(plan));
    total += probability;
    const double error = std::sqrt(probability * (1 - probability) / kDraws);
    EXPECT_NEAR(static_cast<double>(drawn[plan]) / kDraws, probability,
                5 * error);
  }
  EXPECT_NEAR(total, 1, 1e-9);
  EXPECT_GT(estimator.LogDensity(plans[0]), estimator.LogDensity(plans[7]));
}

}  // namespace
}  // namespace lathe
