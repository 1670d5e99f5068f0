// Grids of weights with a zero point: chosen, rounded to, and kept in files.
#include <algorithm>
#include <cmath>
#include <vector>

#include "compressor/compress.h"
#include "compressor/cost.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "compressor/weight_quantizer.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Weights of each channel about a middle of its own.
Tensor LopsidedWeights(const Shape& shape, uint64_t seed) {
  TestRandom random(seed);
  const int64_t inner = ElementCount(shape) / shape[0];
  std::vector<float> values;
  for (int64_t c = 0; c < shape[0]; ++c) {
    const float middle = random.Uniform(0.4f);
    for (int64_t i = 0; i < inner; ++i) {
      values.push_back(middle + random.Normal(0.15f));
    }
  }
  return Tensor::Of<float>(shape, values);
}

class AsymmetricWeights : public testing::TestWithParam<int> {};

TEST_P(AsymmetricWeights, MinMaxErrsByAtMostAStepAndFitsItsBits) {
  const int bits = GetParam();
  const Tensor weights = LopsidedWeights({8, 30}, bits);
  const auto q =
      QuantizeWeights(weights, 0, bits, ScaleMethod::kMinMax,
                      ScaleScope::kPerChannel, WeightGrids::kAsymmetric);
  ASSERT_TRUE(q.ok()) << q.status();
  ASSERT_EQ(q->zero_points.size(), 8);
  const Tensor back = DequantizeWeights(*q, weights.shape(), 0);
  for (int64_t i = 0; i < weights.size(); ++i) {
    const int stored = q->levels[i] + q->zero_points[i / 30];
    EXPECT_GE(stored, -(1 << (bits - 1)));
    EXPECT_LT(stored, 1 << (bits - 1));
    // Half a step for the level, half a one because the zero point is whole.
    EXPECT_LE(std::abs(back.values<float>()[i] - weights.values<float>()[i]),
              q->scales[i / 30] * 1.001f);
  }
}

TEST_P(AsymmetricWeights, LoseLessThanSymmetricOnesWhereWeightsAreLopsided) {
  const Tensor weights = LopsidedWeights({8, 60}, 7);
  const auto error = [&](WeightGrids grids) {
    const auto q = QuantizeWeights(weights, 0, GetParam(), ScaleMethod::kMse,
                                   ScaleScope::kPerChannel, grids);
    EXPECT_TRUE(q.ok()) << q.status();
    return RootMeanSquare(weights, DequantizeWeights(*q, weights.shape(), 0));
  };
  EXPECT_LT(error(WeightGrids::kAsymmetric), error(WeightGrids::kSymmetric));
}

INSTANTIATE_TEST_SUITE_P(Bits, AsymmetricWeights, testing::Values(2, 3, 4, 7));

TEST(AsymmetricWeights, AreTheDefaultOfTwoAndThreeBits) {
  const Tensor weights = LopsidedWeights({4, 30}, 5);
  for (int bits = 2; bits <= 8; ++bits) {
    const auto q =
        QuantizeWeights(weights, 0, bits, ScaleMethod::kMse,
                        ScaleScope::kPerChannel, WeightOptions().grids);
    ASSERT_TRUE(q.ok());
    EXPECT_EQ(q->zero_points.empty(), bits > 3) << bits;
  }
}

TEST(AsymmetricWeights, EightBitsAndZerosStaySymmetric) {
  const Tensor weights = LopsidedWeights({4, 10}, 1);
  const auto eight =
      QuantizeWeights(weights, 0, 8, ScaleMethod::kMse, ScaleScope::kPerChannel,
                      WeightGrids::kAsymmetric);
  ASSERT_TRUE(eight.ok());
  EXPECT_TRUE(eight->zero_points.empty());
  const Tensor zeros = Tensor::Of<float>({2, 3}, std::vector<float>(6, 0));
  const auto none =
      QuantizeWeights(zeros, 0, 4, ScaleMethod::kMse, ScaleScope::kPerChannel,
                      WeightGrids::kAsymmetric);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->levels, std::vector<int8_t>(6, 0));
  EXPECT_EQ(none->scales, std::vector<float>(2, 1));
}

// A network of two layers, whose first has lopsided weights.
struct Net {
  Net()
      : graph(Build()),
        source({TestRandom(2).NormalTensor({24, 3, 6, 6}, 1)}, 17) {
    SpaceOptions options;
    options.has_bf16 = true;
    space = *MakeSearchSpace(graph, options);
    stats = *CollectActivationStats(graph, source, 24);
  }

  static Graph Build() {
    NetBuilder b(3);
    const ValueId x = b.Input({kDynamic, 3, 6, 6});
    const ValueId weights = b.Constant(LopsidedWeights({16, 3, 3, 3}, 9));
    const ValueId y = b.Op("Conv", {x, weights, b.Random({16}, 0.1f)},
                           {{"kernel_shape", std::vector<int64_t>{3, 3}},
                            {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
    b.Relu();
    return b.Build({b.Conv(y, 16, 4, 3)});
  }

  absl::StatusOr<Graph> Uniform(v1::Precision precision, int bits,
                                const CompressOptions& options) {
    v1::CompressionPlan plan = BaselinePlan(space);
    for (v1::LayerChoice& choice : *plan.mutable_layers()) {
      choice.set_precision(precision);
      choice.set_weight_bits(bits);
    }
    return Compress(graph, space, plan, stats, source, options);
  }

  Graph graph;
  ReferenceActivationSource source;
  v1::SearchSpace space;
  ActivationStats stats;
};

TEST(AsymmetricWeights, GoThroughAFileAndStayInFewBits) {
  Net net;
  CompressOptions options;
  options.weights.grids = WeightGrids::kAsymmetric;
  for (const ScaleScope scope :
       {ScaleScope::kPerChannel, ScaleScope::kPerTensor}) {
    options.weights.scale_scope = scope;
    const auto graph = net.Uniform(v1::INT8, 4, options);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const auto bytes = SerializeOnnx(*graph);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto read = OpenModel(*bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    for (size_t i = 0; i < graph->nodes().size(); ++i) {
      const Node& node = graph->nodes()[i];
      EXPECT_TRUE(
          IsSame(node.quantized_weights, read->nodes()[i].quantized_weights));
      EXPECT_EQ(read->nodes()[i].quantized_weights->bits, 4);
      EXPECT_EQ(read->nodes()[i].precision, v1::INT8);
    }
    // All channels together have their middle near 0.
    if (scope == ScaleScope::kPerChannel) {
      EXPECT_FALSE(graph->nodes()[0].quantized_weights->zero_points.empty());
    }
    EXPECT_EQ(ComputeCost(*graph)->packed_bytes,
              ComputeCost(*read)->packed_bytes);
  }
}

TEST(Bfloat16Weights, AreWhatTheFileHolds) {
  Net net;
  const auto graph = net.Uniform(v1::BF16, 16, {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  for (const Node& node : graph->nodes()) {
    const Tensor& weights = *graph->value(node.inputs[1]).constant;
    const Tensor& original = *net.graph.value(node.inputs[1]).constant;
    for (int64_t i = 0; i < weights.size(); ++i) {
      const float x = original.values<float>()[i];
      // 8 bits of precision.
      EXPECT_LE(std::abs(weights.values<float>()[i] - x), std::abs(x) / 256);
      const std::string& bytes = weights.bytes();
      EXPECT_EQ(bytes[4 * i], '\0');
      EXPECT_EQ(bytes[4 * i + 1], '\0');
    }
  }
}

}  // namespace
}  // namespace lathe
