#include "evaluator/testing/compare.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "compressor/reference_ops.h"
#include "evaluator/executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Share of the elements that differ by more than 1e-4 of the largest.
double ShareThatDiffers(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.values<float>();
  const auto b = expected.values<float>();
  const float tolerance = 1e-4f * Most(b) + 1e-6f;
  int64_t different = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= tolerance)) ++different;
  }
  return static_cast<double>(different) / static_cast<double>(a.size());
}

float LargestStep(const Graph& graph) {
  float step = 0;
  for (const Value& value : graph.values()) {
    if (value.grid) step = std::max(step, value.grid->scale);
  }
  return step;
}

float LargestWeight(const Graph& graph) {
  float most = 0;
  for (const Value& value : graph.values()) {
    if (value.constant && value.type == DataType::kFloat32) {
      most = std::max(most, Most(value.constant->values<float>()));
    }
  }
  return most;
}

}  // namespace

float Most(absl::Span<const float> values) {
  float most = 0;
  for (float value : values) most = std::max(most, std::abs(value));
  return most;
}

float LargestDifference(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.values<float>();
  const auto b = expected.values<float>();
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

double RelativeError(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.values<float>();
  const auto b = expected.values<float>();
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / (size + 1e-30));
}

std::vector<std::string> Implementations(const Graph& graph,
                                         const std::string& op_type) {
  ExecutorOptions options;
  options.batch = graph.value(graph.inputs()[0]).shape[0];
  const auto executor = Executor::Compile(graph, options);
  std::vector<std::string> names;
  if (!executor.ok()) {
    ADD_FAILURE() << executor.status();
    return names;
  }
  for (const StepInfo& step : (*executor)->steps()) {
    if (step.node < 0 || step.is_reorder || step.kind == "copy") continue;
    if (graph.nodes()[step.node].op_type != op_type) continue;
    names.push_back(step.implementation);
  }
  return names;
}

void ExpectQuick(const Graph& graph, const std::string& op_type,
                 std::mt19937& random) {
  ExpectSameInFloat(graph, RandomInputs(graph, random));
  EXPECT_THAT(Implementations(graph, op_type),
              testing::Not(testing::Contains(testing::StartsWith("ref"))));
}

void ExpectSameOnGrids(const Graph& graph, const std::vector<Tensor>& inputs) {
  const auto expected = EvaluateGraph(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const auto actual = Execute(graph, inputs);
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].shape(), (*expected)[i].shape());
    EXPECT_LE(LargestDifference(actual[i], (*expected)[i]),
              LargestStep(graph) * (1 + 2 * LargestWeight(graph)) +
                  1e-4f * Most((*expected)[i].values<float>()));
    EXPECT_LE(ShareThatDiffers(actual[i], (*expected)[i]), 0.02);
  }
}

void ExpectSameInFloat(const Graph& graph, const std::vector<Tensor>& inputs) {
  const auto expected = EvaluateGraph(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const auto actual = Execute(graph, inputs);
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].shape(), (*expected)[i].shape());
    EXPECT_EQ(ShareThatDiffers(actual[i], (*expected)[i]), 0);
  }
}

void ExpectSame(const MakeGraph& make, int seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  GraphBuilder in_float(seed);
  const Graph graph = make(in_float, v1::F32);
  std::mt19937 random(seed);
  const auto inputs = RandomInputs(graph, random);
  ExpectSameInFloat(graph, inputs);
  GraphBuilder in_int8(seed);
  const Graph layers = make(in_int8, v1::INT8);
  GridOptions unsigned_grids, signed_grids, zero_points;
  signed_grids.is_signed = true;
  zero_points.has_zero_points = true;
  for (const GridOptions& options :
       {unsigned_grids, signed_grids, zero_points}) {
    ExpectSameOnGrids(WithGrids(layers, inputs, options), inputs);
  }
}

}  // namespace lathe
