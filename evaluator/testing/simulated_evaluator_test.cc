#include "evaluator/testing/simulated_evaluator.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

v1::CompressionPlan Uniform(v1::Precision precision, int bits, double keep) {
  v1::CompressionPlan plan = BaselinePlan(MakeSimulatedSpace(6));
  for (int i = 0; i < plan.layers_size(); ++i) {
    v1::LayerChoice* choice = plan.mutable_layers(i);
    choice->set_precision(precision);
    choice->set_weight_bits(bits);
    choice->set_keep_ratio(i + 1 == plan.layers_size() ? 1 : keep);
  }
  return plan;
}

TEST(SimulatedEvaluator, TellsABaselineThatIsConsistent) {
  SimulatedEvaluator evaluator;
  const auto baseline = evaluator.EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const v1::Measurement& measurement = baseline->evaluation.measurement;
  EXPECT_EQ(measurement.latency_ratio(), 1);
  EXPECT_EQ(measurement.kl_divergence(), 0);
  EXPECT_EQ(baseline->report.space().layers_size(), 6);
  EXPECT_EQ(baseline->report.activation_stats_digest(),
            Sha256Hex(baseline->activation_stats));
  double sum_us = baseline->report.latency_table().other_us();
  for (const auto& entry : baseline->report.latency_table().entries()) {
    const v1::Layer& layer = baseline->report.space().layers(entry.layer());
    if (entry.precision() == v1::F32 &&
        entry.out_channels() == layer.out_channels()) {
      sum_us += entry.latency_us();
    }
  }
  EXPECT_NEAR(sum_us, measurement.latency_us(), 1e-6);
}

TEST(SimulatedEvaluator, GivesEqualMeasurementsToEqualPlans) {
  SimulatedEvaluator first;
  SimulatedEvaluator second;
  const v1::CompressionPlan plan = Uniform(v1::INT8, 4, 0.5);
  const auto a = first.Evaluate(plan);
  const auto b = second.Evaluate(plan);
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_EQ(a->measurement.SerializeAsString(),
            b->measurement.SerializeAsString());
  EXPECT_EQ(a->artifact, b->artifact);
}

TEST(SimulatedEvaluator, TradesAccuracyForTimeAndBytes) {
  SimulatedEvaluator evaluator;
  const auto wide = evaluator.Evaluate(Uniform(v1::INT8, 8, 1));
  const auto narrow = evaluator.Evaluate(Uniform(v1::INT8, 4, 0.5));
  ASSERT_TRUE(wide.ok() && narrow.ok());
  EXPECT_GT(wide->measurement.accuracy(), narrow->measurement.accuracy());
  EXPECT_GT(wide->measurement.latency_us(), narrow->measurement.latency_us());
  EXPECT_GT(wide->measurement.size_bytes(), narrow->measurement.size_bytes());
}

TEST(SimulatedEvaluator, RefusesIllegalAndInfeasiblePlans) {
  SimulatedEvaluator evaluator;
  EXPECT_EQ(evaluator.Evaluate({}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(evaluator.Evaluate(Uniform(v1::INT8, 2, 1)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(MakeSimulatedSpace, IsLegalAtEverySize) {
  for (int layers = 1; layers < 12; ++layers) {
    const v1::SearchSpace space = MakeSimulatedSpace(layers);
    EXPECT_TRUE(ValidatePlan(space, BaselinePlan(space)).ok()) << layers;
  }
}

}  // namespace
}  // namespace lathe
