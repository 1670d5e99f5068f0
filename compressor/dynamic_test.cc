// Layers whose grids come from the data: what is offered, what they become, and
// their way through a file.
#include <string>
#include <utility>
#include <vector>

#include "compressor/compress.h"
#include "compressor/cost.h"
#include "compressor/dynamic_grid.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int64_t kSteps = 5;
constexpr int64_t kInputs = 6;
constexpr int64_t kHidden = 24;

// An LSTM or GRU over all steps, and a Gemm on what they give.
Graph RecurrentNet(const std::string& op_type) {
  NetBuilder b(11);
  const int64_t rows = (op_type == "LSTM" ? 4 : 3) * kHidden;
  const ValueId x = b.Input({kDynamic, kSteps, kInputs});
  const ValueId steps_first =
      b.Op("Transpose", {x}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
  const ValueId all =
      b.Op(op_type,
           {steps_first, b.Random({1, rows, kInputs}, 0.4f),
            b.Random({1, rows, kHidden}, 0.2f), b.Random({1, 2 * rows}, 0.3f)},
           {{"hidden_size", kHidden}});
  const ValueId samples_first =
      b.Op("Transpose", {all}, {{"perm", std::vector<int64_t>{2, 0, 1, 3}}});
  const ValueId flat = b.Op("Flatten", {samples_first});
  return b.Build({b.Gemm(flat, kSteps * kHidden, 10, /*is_transposed=*/true)});
}

bool Offers(const v1::Layer& layer, v1::Precision precision, int bits) {
  for (const v1::PrecisionOption& option : layer.precisions()) {
    if (option.precision() == precision && option.weight_bits() == bits) {
      return true;
    }
  }
  return false;
}

v1::SearchSpace SpaceOf(const Graph& graph, DynamicLayers dynamic) {
  SpaceOptions options;
  options.dynamic = dynamic;
  options.weight_only_bits = {8, 4};
  const auto space = MakeSearchSpace(graph, options);
  EXPECT_TRUE(space.ok()) << space.status();
  return *space;
}

TEST(DynamicLayers, AreOfferedAsAskedFor) {
  const Graph graph = RecurrentNet("LSTM");
  const v1::SearchSpace usual = SpaceOf(graph, DynamicLayers::kRecurrent);
  ASSERT_EQ(usual.layers_size(), 2);
  EXPECT_TRUE(Offers(usual.layers(0), v1::INT8_DYNAMIC, 8));
  EXPECT_TRUE(Offers(usual.layers(0), v1::INT8_DYNAMIC, 4));
  EXPECT_TRUE(Offers(usual.layers(0), v1::F32, 4));
  EXPECT_FALSE(Offers(usual.layers(0), v1::INT8, 8));
  EXPECT_FALSE(Offers(usual.layers(1), v1::INT8_DYNAMIC, 8));
  EXPECT_TRUE(Offers(SpaceOf(graph, DynamicLayers::kLinear).layers(1),
                     v1::INT8_DYNAMIC, 8));
  EXPECT_FALSE(Offers(SpaceOf(graph, DynamicLayers::kNone).layers(0),
                      v1::INT8_DYNAMIC, 8));
}

// Sequences whose features go together, as those of real ones do.
Tensor Sequences(uint64_t seed, int64_t count) {
  TestRandom random(seed);
  std::vector<float> values;
  for (int64_t i = 0; i < count * kSteps; ++i) {
    float x = random.Normal(1);
    for (int64_t f = 0; f < kInputs; ++f) {
      x = 0.9f * x + random.Normal(0.3f);
      values.push_back(x);
    }
  }
  return Tensor::Of<float>({count, kSteps, kInputs}, values);
}

struct Net {
  explicit Net(const std::string& op_type)
      : graph(RecurrentNet(op_type)),
        space(SpaceOf(graph, DynamicLayers::kLinear)),
        source({Sequences(5, 32)}, 17),
        samples(Sequences(6, 16)) {
    const auto collected = CollectActivationStats(graph, source, 32);
    EXPECT_TRUE(collected.ok()) << collected.status();
    stats = *collected;
  }

  // All layers in `precision` with weights of `bits`.
  Graph Uniform(v1::Precision precision, int bits,
                const CompressOptions& options = {}) {
    v1::CompressionPlan plan = BaselinePlan(space);
    for (v1::LayerChoice& choice : *plan.mutable_layers()) {
      choice.set_precision(precision);
      choice.set_weight_bits(bits);
    }
    const auto compressed =
        Compress(graph, space, plan, stats, source, options);
    EXPECT_TRUE(compressed.ok()) << compressed.status();
    return compressed.ok() ? *compressed : graph;
  }

  // Mean squared difference of the answers from the original's.
  double Error(const Graph& other) const {
    const Tensor original = Evaluate(graph, {samples});
    const Tensor answers = Evaluate(other, {samples});
    double error = 0;
    for (int64_t i = 0; i < original.size(); ++i) {
      const double difference =
          original.values<float>()[i] - answers.values<float>()[i];
      error += difference * difference;
    }
    return error / static_cast<double>(original.size());
  }

  const Graph graph;
  const v1::SearchSpace space;
  ReferenceActivationSource source;
  const Tensor samples;
  ActivationStats stats;
};

class Dynamic : public testing::TestWithParam<std::string> {};

TEST_P(Dynamic, LayersGetIntegersAndStayClose) {
  Net net(GetParam());
  const Graph graph = net.Uniform(v1::INT8_DYNAMIC, 8);
  for (const int i : {1, 4}) {
    EXPECT_EQ(graph.nodes()[i].precision, v1::INT8_DYNAMIC);
    EXPECT_TRUE(graph.nodes()[i].quantized_weights.has_value());
    EXPECT_FALSE(graph.value(graph.nodes()[i].inputs[0]).grid.has_value());
  }
  EXPECT_TRUE(graph.nodes()[1].quantized_recurrence.has_value());
  const double coarse = net.Error(net.Uniform(v1::INT8_DYNAMIC, 3));
  EXPECT_LT(net.Error(graph), 0.1 * coarse);
}

TEST_P(Dynamic, SecondOrderRoundingIsBetterThanNearest) {
  Net net(GetParam());
  CompressOptions nearest;
  nearest.weights = NearestWeights();
  for (const v1::Precision precision : {v1::INT8_DYNAMIC, v1::F32}) {
    EXPECT_LT(net.Error(net.Uniform(precision, 4)),
              net.Error(net.Uniform(precision, 4, nearest)));
  }
}

TEST_P(Dynamic, TheFileMeansTheSameAndIsWrittenAgainAlike) {
  Net net(GetParam());
  for (const v1::Precision precision : {v1::INT8_DYNAMIC, v1::F32}) {
    const Graph graph = net.Uniform(precision, 4);
    const auto bytes = SerializeOnnx(graph);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto read = OpenModel(*bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->nodes().size(), graph.nodes().size());
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      const Node& a = graph.nodes()[i];
      const Node& b = read->nodes()[i];
      EXPECT_EQ(a.precision, b.precision) << a.name;
      EXPECT_TRUE(IsSame(a.quantized_weights, b.quantized_weights)) << a.name;
      EXPECT_TRUE(IsSame(a.quantized_recurrence, b.quantized_recurrence));
    }
    EXPECT_EQ(Evaluate(graph, {net.samples}).bytes(),
              Evaluate(*read, {net.samples}).bytes());
    const auto again = SerializeOnnx(*read);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*bytes, *again);
  }
}

TEST_P(Dynamic, FewerBitsAreFewerBytes) {
  Net net(GetParam());
  const auto bytes = [&](const Graph& graph) {
    return ComputeCost(graph)->packed_bytes;
  };
  const int64_t original = bytes(net.graph);
  EXPECT_LT(bytes(net.Uniform(v1::INT8_DYNAMIC, 8)), original * 2 / 5);
  EXPECT_LT(bytes(net.Uniform(v1::INT8_DYNAMIC, 4)), original / 3);
}

INSTANTIATE_TEST_SUITE_P(Cells, Dynamic, testing::Values("LSTM", "GRU"),
                         [](const auto& info) { return info.param; });

TEST(DynamicGrid, IsThatOfDynamicQuantizeLinear) {
  const ActivationGrid grid = DynamicGrid(-1.0f, 4.0f);
  EXPECT_FALSE(grid.is_signed);
  EXPECT_FLOAT_EQ(grid.scale, 5.0f / 255);
  EXPECT_EQ(grid.zero_point, 51);
  // Zero is always in it.
  EXPECT_EQ(DynamicGrid(2.0f, 4.0f).zero_point, 0);
  EXPECT_FLOAT_EQ(DynamicGrid(2.0f, 4.0f).scale, 4.0f / 255);
  EXPECT_EQ(DynamicGrid(-3.0f, -1.0f).zero_point, 255);
  EXPECT_EQ(DynamicGrid(0, 0).scale, 1.0f);
  EXPECT_EQ(DynamicGrid(0, 1e-44f).scale, 1.0f);
}

}  // namespace
}  // namespace lathe
