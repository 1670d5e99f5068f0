#include "compressor/prune.h"

#include <algorithm>

#include "compressor/channel_groups.h"
#include "compressor/channel_scores.h"
#include "compressor/graph_edit.h"
#include "compressor/search_space.h"
#include "compressor/testing/masked.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// One legal ratio for each group, drawn at random.
std::vector<double> DrawRatios(const v1::SearchSpace& space, size_t groups,
                               TestRandom* random) {
  std::vector<double> ratios(groups, 0);
  for (const v1::Layer& layer : space.layers()) {
    if (ratios[layer.group()] != 0) continue;
    ratios[layer.group()] =
        layer.keep_ratios(random->Below(layer.keep_ratios_size()));
  }
  return ratios;
}

class PruneRandomNets : public ::testing::TestWithParam<int> {};

TEST_P(PruneRandomNets, ComputesWhatTheMaskedNetworkComputes) {
  const int seed = GetParam();
  const Graph graph = RandomNet(seed);
  TestRandom random(seed + 1000);
  const absl::StatusOr<ChannelGroups> groups = FindChannelGroups(graph);
  ASSERT_TRUE(groups.ok()) << groups.status();
  const absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(graph, {});
  ASSERT_TRUE(space.ok()) << space.status();
  const std::vector<double> ratios =
      DrawRatios(*space, groups->groups.size(), &random);
  const std::vector<bool> is_kept = ChooseKeptSymbols(
      *groups, ScoreByWeights(graph, *groups, PruneCriterion::kL1), ratios);
  const absl::StatusOr<Graph> pruned = RemoveChannels(graph, *groups, is_kept);
  ASSERT_TRUE(pruned.ok()) << pruned.status();

  for (size_t i = 0; i < groups->layers.size(); ++i) {
    const LayerChannels& layer = groups->layers[i];
    const ValueId weights = pruned->nodes()[layer.node].inputs[1];
    EXPECT_EQ(pruned->value(weights).constant->shape()[layer.weight_axis],
              KeptChannels(layer.out_symbols.size(), ratios[layer.group]));
  }
  const Tensor input = random.NormalTensor({2, 3, 8, 8}, 1);
  ExpectNear(Evaluate(*pruned, input),
             Evaluate(Masked(graph, *groups, is_kept), input), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PruneRandomNets, ::testing::Range(0, 60));

TEST(Prune, RandomNetsDoLoseChannels) {
  int prunable = 0;
  for (int seed = 0; seed < 60; ++seed) {
    const absl::StatusOr<v1::SearchSpace> space =
        MakeSearchSpace(RandomNet(seed), {});
    ASSERT_TRUE(space.ok());
    for (const v1::Layer& layer : space->layers()) {
      prunable += layer.keep_ratios_size() > 1 ? 1 : 0;
    }
  }
  EXPECT_GT(prunable, 120);
}

TEST(Prune, KeepsTheFiltersOfLargestNorm) {
  NetBuilder net(1);
  const ValueId in = net.Input({kDynamic, 1, 2, 2});
  const ValueId weights = net.Constant(
      Tensor::Of<float>({4, 1, 1, 1}, std::vector<float>{1, -5, 0.5f, 2}));
  const ValueId x = net.Op("Conv", {in, weights});
  const Graph graph = net.Build({net.Conv(x, 4, 2, 1)});
  const ChannelGroups groups = *FindChannelGroups(graph);
  const std::vector<bool> is_kept = ChooseKeptSymbols(
      groups, ScoreByWeights(graph, groups, PruneCriterion::kL1), {0.5, 1});
  EXPECT_THAT(KeptIndices(groups.layers[0].out_symbols, is_kept),
              ::testing::ElementsAre(1, 3));
}

TEST(Prune, SharedWeightsAreCutForEachReaderAlone) {
  NetBuilder net(1);
  const ValueId in = net.Input({kDynamic, 16, 2, 2});
  const ValueId weights = net.Random({16, 16, 1, 1}, 1);
  const ValueId a = net.Op("Conv", {in, weights});
  const ValueId b = net.Op("Conv", {in, weights});
  // The first one's channels can go, the second's reach the output.
  const Graph graph = net.Build({net.Conv(a, 16, 4, 1), b});
  const ChannelGroups groups = *FindChannelGroups(graph);
  std::vector<double> ratios(groups.groups.size(), 1);
  ratios[groups.layers[0].group] = 0.5;
  const Graph pruned = *RemoveChannels(
      graph, groups,
      ChooseKeptSymbols(
          groups, ScoreByWeights(graph, groups, PruneCriterion::kL1), ratios));
  const auto shape_of = [&pruned](int node) {
    return pruned.value(pruned.nodes()[node].inputs[1]).constant->shape();
  };
  EXPECT_EQ(shape_of(0), (Shape{8, 16, 1, 1}));
  EXPECT_EQ(shape_of(1), (Shape{16, 16, 1, 1}));
}

TEST(Prune, TakeAlongAxisPicksSlices) {
  const Tensor t = Tensor::Of<float>(
      {2, 3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const Tensor taken = TakeAlongAxis(t, 1, {2, 0});
  EXPECT_EQ(taken.shape(), (Shape{2, 2, 2}));
  EXPECT_THAT(taken.values<float>(),
              ::testing::ElementsAre(4, 5, 0, 1, 10, 11, 6, 7));
}

}  // namespace
}  // namespace lathe
