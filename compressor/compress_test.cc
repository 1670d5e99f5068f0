#include "compressor/compress.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "compressor/channel_groups.h"
#include "compressor/search_space.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "compressor/weight_quantizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

// A network with what Compress needs beside the plan.
struct Network {
  Graph graph;
  v1::SearchSpace space;
  ReferenceActivationSource source;
  ActivationStats stats;
};

Network MakeNetwork(const Graph& graph, const Tensor& samples) {
  absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(graph, {});
  EXPECT_TRUE(space.ok()) << space.status();
  Network setup{graph, *space, ReferenceActivationSource({samples}, 17), {}};
  absl::StatusOr<ActivationStats> stats =
      CollectActivationStats(graph, setup.source, setup.source.SampleCount());
  EXPECT_TRUE(stats.ok()) << stats.status();
  setup.stats = *stats;
  return setup;
}

Network RandomNetwork(uint64_t seed, int64_t samples = 24) {
  TestRandom random(seed + 77);
  return MakeNetwork(RandomNet(seed),
                     random.NormalTensor({samples, 3, 8, 8}, 1));
}

absl::StatusOr<Graph> TryCompress(Network& setup,
                                  const v1::CompressionPlan& plan,
                                  const CompressOptions& options = {}) {
  return Compress(setup.graph, setup.space, plan, setup.stats, setup.source,
                  options);
}

Graph MustCompress(Network& setup, const v1::CompressionPlan& plan,
                   const CompressOptions& options = {}) {
  absl::StatusOr<Graph> graph = TryCompress(setup, plan, options);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? *graph : setup.graph;
}

v1::CompressionPlan RandomPlan(const v1::SearchSpace& space, uint64_t seed) {
  TestRandom random(seed);
  v1::CompressionPlan plan = BaselinePlan(space);
  std::map<int, double> ratio_of_group;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    const v1::PrecisionOption& option =
        layer.precisions(random.Below(layer.precisions_size()));
    v1::LayerChoice* choice = plan.mutable_layers(i);
    choice->set_precision(option.precision());
    choice->set_weight_bits(option.weight_bits());
    const double ratio =
        layer.keep_ratios(random.Below(layer.keep_ratios_size()));
    choice->set_keep_ratio(
        ratio_of_group.emplace(layer.group(), ratio).first->second);
  }
  return plan;
}

// Every group loses as much as it can.
v1::CompressionPlan LeastPlan(const v1::SearchSpace& space) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < space.layers_size(); ++i) {
    const auto& ratios = space.layers(i).keep_ratios();
    plan.mutable_layers(i)->set_keep_ratio(ratios[ratios.size() - 1]);
  }
  return plan;
}

void SetAll(v1::CompressionPlan* plan, v1::Precision precision, int bits) {
  for (v1::LayerChoice& choice : *plan->mutable_layers()) {
    choice.set_precision(precision);
    choice.set_weight_bits(bits);
  }
}

class CompressRandomNets : public ::testing::TestWithParam<int> {};

TEST_P(CompressRandomNets, ThePlanThatChangesNothingChangesNoBit) {
  Network setup = RandomNetwork(GetParam(), 2);
  EXPECT_TRUE(
      AreEqual(MustCompress(setup, BaselinePlan(setup.space)), setup.graph));
}

TEST_P(CompressRandomNets, ARandomLegalPlanIsAppliedAsItIs) {
  Network setup = RandomNetwork(GetParam());
  const v1::CompressionPlan plan = RandomPlan(setup.space, GetParam());
  const Graph compressed = MustCompress(setup, plan);
  const ChannelGroups groups = *FindChannelGroups(setup.graph);
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    const LayerChannels& layer = groups.layers[i];
    const v1::LayerChoice& choice = plan.layers(i);
    const Node& node = compressed.nodes()[layer.node];
    EXPECT_EQ(node.precision, choice.precision());
    const Tensor& weights = *compressed.value(node.inputs[1]).constant;
    EXPECT_EQ(weights.shape()[layer.weight_axis],
              KeptChannels(layer.out_symbols.size(), choice.keep_ratio()));
    const bool is_int8 = choice.precision() == v1::INT8;
    ASSERT_EQ(node.quantized_weights.has_value(), is_int8);
    if (!is_int8) continue;
    EXPECT_EQ(node.quantized_weights->bits, choice.weight_bits());
    EXPECT_TRUE(compressed.value(node.inputs[0]).grid.has_value());
    EXPECT_EQ(DequantizeWeights(*node.quantized_weights, weights.shape(),
                                layer.weight_axis)
                  .bytes(),
              weights.bytes());
  }
  TestRandom random(5);
  const Tensor out = Evaluate(compressed, random.NormalTensor({3, 3, 8, 8}, 1));
  EXPECT_EQ(out.shape(), (Shape{3, 5}));
  for (const float x : out.values<float>()) EXPECT_TRUE(std::isfinite(x));
}

TEST_P(CompressRandomNets, EqualArgumentsGiveEqualGraphs) {
  Network setup = RandomNetwork(GetParam(), 8);
  const v1::CompressionPlan plan = RandomPlan(setup.space, GetParam() + 500);
  EXPECT_TRUE(AreEqual(MustCompress(setup, plan), MustCompress(setup, plan)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, CompressRandomNets, ::testing::Range(0, 15));

TEST(Compress, TheRebuildLowersTheErrorOnSamplesItDidNotSee) {
  double with_rebuild = 0;
  double without = 0;
  int lower = 0;
  constexpr int kNets = 12;
  for (int seed = 0; seed < kNets; ++seed) {
    Network setup = RandomNetwork(seed, 64);
    const v1::CompressionPlan plan = LeastPlan(setup.space);
    TestRandom random(seed + 9000);
    const Tensor fresh = random.NormalTensor({32, 3, 8, 8}, 1);
    const Tensor expected = Evaluate(setup.graph, fresh);
    CompressOptions options;
    // A criterion that does not care for the rebuild.
    options.prune.criterion = PruneCriterion::kL1;
    const double rebuilt = RootMeanSquare(
        Evaluate(MustCompress(setup, plan, options), fresh), expected);
    options.prune.rebuild = RebuildMethod::kNone;
    const double cut = RootMeanSquare(
        Evaluate(MustCompress(setup, plan, options), fresh), expected);
    with_rebuild += rebuilt;
    without += cut;
    lower += rebuilt < cut ? 1 : 0;
  }
  EXPECT_EQ(lower, kNets);
  EXPECT_LT(with_rebuild, 0.7 * without);
}

TEST(Compress, AChannelThatRepeatsAnotherGoesAlmostWithoutTrace) {
  NetBuilder net(3);
  // 16 filters, of which the last 8 are the first 8 again, small enough to be
  // the ones that go.
  const Tensor half = net.random().NormalTensor({8, 3, 3, 3}, 0.3f);
  std::vector<float> both(half.values<float>().begin(),
                          half.values<float>().end());
  for (const float w : half.values<float>()) both.push_back(0.3f * w);
  const ValueId weights = net.Constant(Tensor::Of<float>({16, 3, 3, 3}, both));
  const ValueId in = net.Input({kDynamic, 3, 8, 8});
  const ValueId x = net.Op("Conv", {in, weights});
  net.Relu();
  Network setup = MakeNetwork(net.Build({net.Conv(x, 16, 5, 3)}),
                              net.random().NormalTensor({64, 3, 8, 8}, 1));
  v1::CompressionPlan plan = LeastPlan(setup.space);
  ASSERT_EQ(plan.layers(0).keep_ratio(), 0.5);
  const Tensor fresh = net.random().NormalTensor({8, 3, 8, 8}, 1);
  const Tensor expected = Evaluate(setup.graph, fresh);
  CompressOptions options;
  options.prune.ridge = 1e-3;
  const double rebuilt = RootMeanSquare(
      Evaluate(MustCompress(setup, plan, options), fresh), expected);
  options.prune.rebuild = RebuildMethod::kNone;
  const double cut = RootMeanSquare(
      Evaluate(MustCompress(setup, plan, options), fresh), expected);
  EXPECT_LT(rebuilt, 0.01 * cut);
}

TEST(Compress, EightBitsStayNearTheOriginal) {
  for (const uint64_t seed : kSmallNets) {
    Network setup = RandomNetwork(seed, 32);
    v1::CompressionPlan plan = BaselinePlan(setup.space);
    TestRandom random(seed);
    const Tensor input = random.NormalTensor({8, 3, 8, 8}, 1);
    const Tensor expected = Evaluate(setup.graph, input);
    double size = RootMeanSquare(
        expected, Tensor::Of<float>(expected.shape(),
                                    std::vector<float>(expected.size())));
    double last = 0;
    for (const int bits : {8, 4, 2}) {
      SetAll(&plan, v1::INT8, bits);
      const double error =
          RootMeanSquare(Evaluate(MustCompress(setup, plan), input), expected);
      if (bits == 8) {
        EXPECT_LT(error, 0.1 * size) << "seed " << seed;
      }
      EXPECT_GT(error, last) << "seed " << seed << " bits " << bits;
      last = error;
    }
  }
}

TEST(Compress, TheDefaultsLoseLessAtFewBitsOnSamplesTheyDidNotSee) {
  for (const int bits : {4, 3, 2}) {
    double plain = 0;
    double repaired = 0;
    for (const uint64_t seed : kSmallNets) {
      Network setup = RandomNetwork(seed, 32);
      v1::CompressionPlan plan = BaselinePlan(setup.space);
      SetAll(&plan, v1::INT8, bits);
      TestRandom random(seed + 700);
      const Tensor input = random.NormalTensor({8, 3, 8, 8}, 1);
      const Tensor expected = Evaluate(setup.graph, input);
      CompressOptions options;
      repaired += RootMeanSquare(
          Evaluate(MustCompress(setup, plan, options), input), expected);
      options.weights = NearestWeights();
      plain += RootMeanSquare(
          Evaluate(MustCompress(setup, plan, options), input), expected);
    }
    EXPECT_LT(repaired, 0.8 * plain) << bits << " bits";
  }
}

TEST(Compress, FewerActivationBitsLeaveFewerValues) {
  Network setup = RandomNetwork(4, 16);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  SetAll(&plan, v1::INT8, 8);
  CompressOptions options;
  options.weights = NearestWeights();
  options.range.bits = 4;
  const Graph graph = MustCompress(setup, plan, options);
  for (const Node& node : graph.nodes()) {
    const std::optional<ActivationGrid>& grid =
        graph.value(node.outputs[0]).grid;
    if (!grid) continue;
    ASSERT_FALSE(node.post_ops.empty());
    EXPECT_EQ(node.post_ops.back().kind, PostOp::Kind::kClip);
    EXPECT_FLOAT_EQ(node.post_ops.back().beta,
                    grid->scale * (grid->is_signed ? 7 : 15));
  }
}

TEST(Compress, AnUnprunedPlanUsesTheStatisticsAndRunsNothing) {
  Network setup = RandomNetwork(1);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  SetAll(&plan, v1::INT8, 8);
  const int64_t before = setup.source.runs();
  CompressOptions options;
  options.weights = NearestWeights();
  MustCompress(setup, plan, options);
  EXPECT_EQ(setup.source.runs(), before);
}

TEST(Compress, RangesOfAPrunedNetworkAreItsOwn) {
  Network setup = RandomNetwork(1);
  v1::CompressionPlan plan = LeastPlan(setup.space);
  SetAll(&plan, v1::INT8, 8);
  // Statistics of the unpruned network are not looked at.
  setup.stats.tensors.clear();
  const Graph compressed = MustCompress(setup, plan);
  for (const Node& node : compressed.nodes()) {
    if (node.precision != v1::INT8) continue;
    EXPECT_TRUE(compressed.value(node.inputs[0]).grid.has_value());
  }
}

TEST(Compress, AnInt8LayerWithoutStatisticsIsInfeasible) {
  Network setup = RandomNetwork(1);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  SetAll(&plan, v1::INT8, 8);
  setup.stats.tensors.clear();
  const absl::Status status = TryCompress(setup, plan).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no statistics"));
}

TEST(Compress, IllegalPlansAreRefused) {
  Network setup = RandomNetwork(1);
  v1::CompressionPlan short_plan = BaselinePlan(setup.space);
  short_plan.mutable_layers()->RemoveLast();
  v1::CompressionPlan odd_ratio = BaselinePlan(setup.space);
  odd_ratio.mutable_layers(0)->set_keep_ratio(0.123);
  v1::CompressionPlan odd_bits = BaselinePlan(setup.space);
  odd_bits.mutable_layers(0)->set_weight_bits(9);
  for (const v1::CompressionPlan& plan : {short_plan, odd_ratio, odd_bits}) {
    EXPECT_EQ(TryCompress(setup, plan).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Compress, ASpaceOfAnotherModelIsRefused) {
  Network setup = RandomNetwork(1);
  setup.space.mutable_layers(0)->set_name("elsewhere");
  const absl::Status status =
      TryCompress(setup, BaselinePlan(setup.space)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("elsewhere"));
}

TEST(Compress, APinnedLayerKeepsItsChannelsWhateverTheSpaceSays) {
  Network setup = RandomNetwork(1);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  const int last = setup.space.layers_size() - 1;
  setup.space.mutable_layers(last)->add_keep_ratios(0.5);
  plan.mutable_layers(last)->set_keep_ratio(0.5);
  EXPECT_EQ(TryCompress(setup, plan).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Compress, AModelOfFixedBatchIsRebuiltToo) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({1, 3, 4, 4}), 3, 16, 3);
  net.Relu();
  x = net.Op("Reshape", {x, net.Ints({1, 256})});
  Network setup = MakeNetwork(net.Build({net.Gemm(x, 256, 3, true)}),
                              net.random().NormalTensor({48, 3, 4, 4}, 1));
  const v1::CompressionPlan plan = LeastPlan(setup.space);
  ASSERT_EQ(plan.layers(0).keep_ratio(), 0.5);
  const Tensor input = net.random().NormalTensor({1, 3, 4, 4}, 1);
  EXPECT_EQ(Evaluate(MustCompress(setup, plan), input).shape(), (Shape{1, 3}));
}

TEST(Compress, WeightsAloneLieOnAGridAndActivationsStay) {
  const Graph graph = RandomNet(3);
  Network setup = RandomNetwork(3);
  SpaceOptions options;
  options.weight_only_bits = {8, 4};
  setup.space = *MakeSearchSpace(graph, options);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  SetAll(&plan, v1::F32, 4);
  const Graph compressed = MustCompress(setup, plan);
  int layers = 0;
  for (const Node& node : compressed.nodes()) {
    if (!node.quantized_weights) continue;
    ++layers;
    EXPECT_EQ(node.precision, v1::F32);
    EXPECT_EQ(node.quantized_weights->bits, 4);
  }
  EXPECT_EQ(layers, setup.space.layers_size());
  for (const Value& value : compressed.values()) {
    EXPECT_FALSE(value.grid.has_value()) << value.name;
  }
}

TEST(Compress, ACodebookOfABf16LayerIsOfItsNumbers) {
  Network setup = RandomNetwork(4);
  SpaceOptions offered;
  offered.has_bf16 = true;
  setup.space = *MakeSearchSpace(setup.graph, offered);
  v1::CompressionPlan plan = BaselinePlan(setup.space);
  SetAll(&plan, v1::BF16, 16);
  CompressOptions options;
  options.weights.clusters = 8;
  const Graph compressed = MustCompress(setup, plan, options);
  for (const Node& node : compressed.nodes()) {
    if (node.op_type != "Conv") continue;
    std::set<float> values;
    for (const float weight :
         compressed.value(node.inputs[1]).constant->values<float>()) {
      values.insert(weight);
      uint32_t bits;
      std::memcpy(&bits, &weight, sizeof(bits));
      EXPECT_EQ(bits & 0xffff, 0u) << weight;
    }
    EXPECT_LE(values.size(), 8u);
  }
}

TEST(Compress, SizeTechniquesLeaveTheBaselineAloneWithoutOptions) {
  Network setup = RandomNetwork(4);
  EXPECT_TRUE(
      AreEqual(MustCompress(setup, BaselinePlan(setup.space)), setup.graph));
  CompressOptions options;
  options.weights.sparsity = {0.5};
  const Graph sparse = MustCompress(setup, BaselinePlan(setup.space), options);
  for (const Node& node : sparse.nodes()) {
    if (node.op_type != "Conv") continue;
    const auto values = sparse.value(node.inputs[1]).constant->values<float>();
    const auto zeros = std::count(values.begin(), values.end(), 0.0f);
    EXPECT_NEAR(static_cast<double>(zeros) / values.size(), 0.5, 0.01)
        << node.name;
  }
}

}  // namespace
}  // namespace lathe
