// Pruning of networks with splits, groups, shuffles, attention and recurrence:
// each pruned network computes what the masked one does.
#include <algorithm>
#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "compressor/activation_stats.h"
#include "compressor/channel_groups.h"
#include "compressor/compress.h"
#include "compressor/prune.h"
#include "compressor/prune_network.h"
#include "compressor/search_space.h"
#include "compressor/testing/masked.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

ValueId Classifier(NetBuilder& net, ValueId x, int64_t channels) {
  return net.Gemm(net.Op("Flatten", {net.Op("GlobalAveragePool", {x})}),
                  channels, 5, /*is_transposed=*/true);
}

// Both halves of a split go their own ways.
Graph SplitNet(bool has_sizes) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 32, 3);
  net.Relu();
  std::vector<ValueId> inputs = {x};
  if (has_sizes) inputs.push_back(net.Ints({16, 16}));
  const std::vector<ValueId> halves =
      net.OpWithOutputs("Split", inputs, 2, {{"axis", int64_t{1}}});
  const ValueId changed = net.Conv(halves[1], 16, 24, 3);
  net.Relu();
  const ValueId joined =
      net.Op("Concat", {halves[0], changed}, {{"axis", int64_t{1}}});
  return net.Build({Classifier(net, joined, 40)});
}

// The same with slices.
Graph SliceNet() {
  NetBuilder net(2);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 32, 3);
  net.Relu();
  const ValueId axes = net.Ints({1});
  const ValueId first =
      net.Op("Slice", {x, net.Ints({0}), net.Ints({16}), axes});
  const ValueId second =
      net.Op("Slice", {x, net.Ints({-16}), net.Ints({INT64_MAX}), axes});
  const ValueId changed = net.Conv(second, 16, 24, 3);
  return net.Build({Classifier(
      net, net.Op("Concat", {first, changed}, {{"axis", int64_t{1}}}), 40)});
}

// Grouped convolutions with a shuffle between, as ShuffleNet has them.
Graph ShuffleNet(bool is_by_gather) {
  NetBuilder net(3);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 32, 3);
  net.Relu();
  x = net.Conv(x, 32, 64, 1, 1, /*groups=*/2);
  net.Relu();
  if (is_by_gather) {
    std::vector<int64_t> order;
    for (int64_t i = 0; i < 64; ++i) order.push_back(i % 2 * 32 + i / 2);
    x = net.Op("Gather", {x, net.Ints(order)}, {{"axis", int64_t{1}}});
  } else {
    x = net.Op("Reshape", {x, net.Ints({0, 2, 32, 8, 8})});
    x = net.Op("Transpose", {x},
               {{"perm", std::vector<int64_t>{0, 2, 1, 3, 4}}});
    x = net.Op("Reshape", {x, net.Ints({-1, 64, 8, 8})});
  }
  x = net.Conv(x, 64, 64, 3, 1, /*groups=*/64);
  x = net.Conv(x, 64, 32, 1, 1, /*groups=*/2);
  net.Relu();
  return net.Build({Classifier(net, x, 32)});
}

// A transformer block over 6 tokens of 32 features, with 4 heads: query, key
// and value each by a product of their own, or all by one.
Graph AttentionNet(bool is_fused) {
  NetBuilder net(4);
  const ValueId x = net.Input({kDynamic, 6, 32});
  const auto linear = [&net](ValueId in, int64_t ins, int64_t outs) {
    const ValueId product =
        net.Op("MatMul", {in, net.Random({ins, outs}, .2f)});
    return net.Op("Add", {product, net.Random({outs}, .1f)});
  };
  const std::vector<int64_t> to_heads = {0, 2, 1, 3};
  std::vector<ValueId> parts;
  if (is_fused) {
    const ValueId all = net.Op(
        "Transpose",
        {net.Op("Reshape", {linear(x, 32, 96), net.Ints({0, 6, 3, 4, 8})})},
        {{"perm", std::vector<int64_t>{2, 0, 3, 1, 4}}});
    for (int64_t i = 0; i < 3; ++i) {
      parts.push_back(net.Op("Gather",
                             {all, net.Constant(Tensor::Of<int64_t>(
                                       Shape{}, std::vector<int64_t>{i}))},
                             {{"axis", int64_t{0}}}));
    }
  } else {
    for (int i = 0; i < 3; ++i) {
      parts.push_back(net.Op(
          "Transpose",
          {net.Op("Reshape", {linear(x, 32, 32), net.Ints({0, -1, 4, 8})})},
          {{"perm", to_heads}}));
    }
  }
  const ValueId keys = net.Op("Transpose", {parts[1]},
                              {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  const ValueId weights = net.Op(
      "Softmax", {net.Op("MatMul", {parts[0], keys})}, {{"axis", int64_t{-1}}});
  const ValueId mixed = net.Op("MatMul", {weights, parts[2]});
  const ValueId flat =
      net.Op("Reshape", {net.Op("Transpose", {mixed}, {{"perm", to_heads}}),
                         net.Ints({0, 6, 32})});
  const ValueId sum = net.Op("Add", {linear(flat, 32, 32), x});
  const ValueId hidden = net.Op("Relu", {linear(sum, 32, 64)});
  return net.Build({net.Op("Add", {linear(hidden, 64, 32), sum})});
}

// Two recurrent layers, and a linear one on the last state of the second.
Graph RecurrentNet(const std::string& op, bool is_bidirectional) {
  NetBuilder net(5);
  const int64_t gates = op == "LSTM" ? 4 : 3;
  const int64_t directions = is_bidirectional ? 2 : 1;
  const auto layer = [&](ValueId x, int64_t ins, int64_t units) {
    return net.OpWithOutputs(
        op,
        {x, net.Random({directions, gates * units, ins}, .3f),
         net.Random({directions, gates * units, units}, .3f),
         net.Random({directions, 2 * gates * units}, .1f)},
        2,
        {{"hidden_size", units},
         {"direction",
          std::string(is_bidirectional ? "bidirectional" : "forward")}});
  };
  const auto merge = [&](ValueId y, int64_t units) {  // [T, N, directions * H]
    const ValueId turned =
        net.Op("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    return net.Op("Reshape", {turned, net.Ints({7, -1, directions * units})});
  };
  const ValueId x = net.Op("Transpose", {net.Input({kDynamic, 7, 10})},
                           {{"perm", std::vector<int64_t>{1, 0, 2}}});
  const ValueId first = merge(layer(x, 10, 16)[0], 16);
  const ValueId last = layer(first, directions * 16, 24)[1];
  const ValueId state = net.Op(
      "Reshape",
      {net.Op("Transpose", {last}, {{"perm", std::vector<int64_t>{1, 0, 2}}}),
       net.Ints({-1, directions * 24})});
  return net.Build({net.Gemm(state, directions * 24, 5, true)});
}

struct GroupCase {
  std::string name;
  std::function<Graph()> make;
  Shape sample;
  // Layers that can lose channels.
  int prunable_layers;
};
void PrintTo(const GroupCase& c, std::ostream* out) { *out << c.name; }

class PruneGroups : public ::testing::TestWithParam<GroupCase> {
 protected:
  void SetUp() override {
    absl::StatusOr<ChannelGroups> groups = FindChannelGroups(graph_);
    ASSERT_TRUE(groups.ok()) << groups.status();
    groups_ = *std::move(groups);
    absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(graph_, {});
    ASSERT_TRUE(space.ok()) << space.status();
    space_ = *std::move(space);
  }

  Tensor Samples(int64_t count) const {
    TestRandom random(9);
    Shape shape = GetParam().sample;
    shape.insert(shape.begin(), count);
    return random.NormalTensor(shape, 1);
  }
  // The ratio next to the least that each group offers, or the least.
  std::vector<double> Ratios(bool is_least) const {
    std::vector<double> ratios(groups_.groups.size(), 1);
    for (const v1::Layer& layer : space_.layers()) {
      const int count = layer.keep_ratios_size();
      ratios[layer.group()] =
          layer.keep_ratios(is_least ? count - 1 : std::min(1, count - 1));
    }
    return ratios;
  }

  const Graph graph_ = GetParam().make();
  ChannelGroups groups_;
  v1::SearchSpace space_;
};

TEST_P(PruneGroups, OfferTheLayersThatCanLoseChannels) {
  int prunable = 0;
  for (const v1::Layer& layer : space_.layers()) {
    prunable += layer.keep_ratios_size() > 1 ? 1 : 0;
  }
  EXPECT_EQ(prunable, GetParam().prunable_layers);
}

TEST_P(PruneGroups, ComputeWhatTheMaskedNetworkComputes) {
  ReferenceActivationSource source({Samples(8)}, 17);
  for (const PruneCriterion criterion :
       {PruneCriterion::kL1, PruneCriterion::kGeometricMedian,
        PruneCriterion::kActivation, PruneCriterion::kRedundancy}) {
    const auto scores =
        ScoreSymbols(graph_, groups_, criterion, source, /*samples=*/8);
    ASSERT_TRUE(scores.ok()) << scores.status();
    for (const bool is_least : {false, true}) {
      const std::vector<bool> is_kept =
          ChooseKeptSymbols(groups_, *scores, Ratios(is_least));
      ASSERT_GT(std::count(is_kept.begin(), is_kept.end(), false), 0);
      const auto pruned = RemoveChannels(graph_, groups_, is_kept);
      ASSERT_TRUE(pruned.ok()) << pruned.status();
      ExpectNear(Evaluate(*pruned, Samples(3)),
                 Evaluate(Masked(graph_, groups_, is_kept), Samples(3)), 1e-5);
    }
  }
}

TEST_P(PruneGroups, RebuildBringsTheAnswersCloser) {
  ReferenceActivationSource source({Samples(64)}, 17);
  const auto distance = [&](RebuildMethod method) {
    PruneOptions options;
    options.rebuild = method;
    options.samples = 64;
    const auto pruned = PruneNetwork(graph_, groups_, Ratios(false), {}, source,
                                     options, nullptr);
    EXPECT_TRUE(pruned.ok()) << pruned.status();
    return RootMeanSquare(Evaluate(pruned->graph, Samples(64)),
                          Evaluate(graph_, Samples(64)));
  };
  const double ridge = distance(RebuildMethod::kRidge);
  EXPECT_LT(ridge, distance(RebuildMethod::kNone));
}

INSTANTIATE_TEST_SUITE_P(
    Nets, PruneGroups,
    ::testing::Values(
        GroupCase{"Split", [] { return SplitNet(true); }, {3, 8, 8}, 2},
        GroupCase{"EvenSplit", [] { return SplitNet(false); }, {3, 8, 8}, 2},
        GroupCase{"Slice", SliceNet, {3, 8, 8}, 2},
        GroupCase{"Shuffle", [] { return ShuffleNet(false); }, {3, 8, 8}, 4},
        GroupCase{
            "GatherShuffle", [] { return ShuffleNet(true); }, {3, 8, 8}, 4},
        GroupCase{"Attention", [] { return AttentionNet(false); }, {6, 32}, 4},
        GroupCase{
            "FusedAttention", [] { return AttentionNet(true); }, {6, 32}, 2},
        GroupCase{
            "Lstm", [] { return RecurrentNet("LSTM", false); }, {7, 10}, 2},
        GroupCase{"Gru", [] { return RecurrentNet("GRU", false); }, {7, 10}, 2},
        GroupCase{
            "BiLstm", [] { return RecurrentNet("LSTM", true); }, {7, 10}, 2},
        GroupCase{
            "BiGru", [] { return RecurrentNet("GRU", true); }, {7, 10}, 2}),
    [](const ::testing::TestParamInfo<GroupCase>& info) {
      return info.param.name;
    });

TEST(PruneAttention, AHeadGoesAsAWhole) {
  const Graph graph = AttentionNet(true);
  const ChannelGroups groups = *FindChannelGroups(graph);
  const std::vector<int>& symbols = groups.layers[0].out_symbols;
  ASSERT_EQ(symbols.size(), 96u);
  EXPECT_EQ(std::set<int>(symbols.begin(), symbols.end()).size(), 4u);
  for (size_t i = 0; i < symbols.size(); ++i) {
    EXPECT_EQ(symbols[i], symbols[i / 8 % 4 * 8]) << i;
  }
}

}  // namespace
}  // namespace lathe
