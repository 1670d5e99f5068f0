#include "compressor/remembering_source.h"

#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Every second layer in 4 bits, every group as small as it may be.
v1::CompressionPlan SomePlan(const v1::SearchSpace& space, int first) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < space.layers_size(); ++i) {
    const auto& ratios = space.layers(i).keep_ratios();
    plan.mutable_layers(i)->set_keep_ratio(
        ratios[first == 0 ? 0 : ratios.size() - 1]);
    if (i % 2 != first) continue;
    plan.mutable_layers(i)->set_precision(v1::INT8);
    plan.mutable_layers(i)->set_weight_bits(4);
  }
  return plan;
}

TEST(RememberingSource, CompressesToTheSameBitsInFewerRuns) {
  for (const uint64_t seed : kSmallNets) {
    const Graph graph = RandomNet(seed);
    const v1::SearchSpace space = *MakeSearchSpace(graph, {});
    TestRandom random(seed);
    ReferenceActivationSource inner({random.NormalTensor({24, 3, 8, 8}, 1)},
                                    17);
    const ActivationStats stats = *CollectActivationStats(graph, inner, 24);
    RememberingSource remembering(graph, inner, int64_t{1} << 28);
    for (int turn = 0; turn < 3; ++turn) {
      const v1::CompressionPlan plan = SomePlan(space, turn % 2);
      const auto plain = Compress(graph, space, plan, stats, inner);
      const auto spared = Compress(graph, space, plan, stats, remembering);
      ASSERT_TRUE(plain.ok()) << plain.status();
      ASSERT_TRUE(spared.ok()) << spared.status();
      EXPECT_TRUE(AreEqual(*plain, *spared)) << "seed " << seed;
    }
    EXPECT_GT(remembering.spared_runs(), 0);
  }
}

// A run of the original that pruning left is no run on rounded inputs.
TEST(RememberingSource, APlanOfDynamicGridsIsTheSameAfterAPrunedOne) {
  int dynamic = 0;
  for (const uint64_t seed : kSmallNets) {
    const Graph graph = RandomNet(seed);
    SpaceOptions options;
    options.dynamic = DynamicLayers::kLinear;
    const v1::SearchSpace space = *MakeSearchSpace(graph, options);
    TestRandom random(seed);
    ReferenceActivationSource inner({random.NormalTensor({24, 3, 8, 8}, 1)},
                                    17);
    const ActivationStats stats = *CollectActivationStats(graph, inner, 24);
    v1::CompressionPlan plan = BaselinePlan(space);
    for (int i = 0; i < space.layers_size(); ++i) {
      for (const v1::PrecisionOption& option : space.layers(i).precisions()) {
        if (option.precision() != v1::INT8_DYNAMIC) continue;
        plan.mutable_layers(i)->set_precision(v1::INT8_DYNAMIC);
        plan.mutable_layers(i)->set_weight_bits(option.weight_bits());
        ++dynamic;
      }
    }
    RememberingSource remembering(graph, inner, int64_t{1} << 28);
    const v1::CompressionPlan pruned = SomePlan(space, /*first=*/1);
    ASSERT_TRUE(Compress(graph, space, pruned, stats, remembering).ok());
    EXPECT_TRUE(AreEqual(*Compress(graph, space, plan, stats, remembering),
                         *Compress(graph, space, plan, stats, inner)))
        << "seed " << seed;
  }
  EXPECT_GT(dynamic, 0);
}

TEST(RememberingSource, KeepsWhatIsAskedForASecondTime) {
  const Graph graph = RandomNet(1);
  TestRandom random(1);
  ReferenceActivationSource inner({random.NormalTensor({8, 3, 8, 8}, 1)}, 17);
  RememberingSource remembering(graph, inner, int64_t{1} << 28);
  const Node& node = graph.nodes()[0];
  for (const int64_t spared : {0, 0, 1, 2}) {
    const std::vector<Tensor> inputs = {(*remembering.Inputs(0, 8))[0],
                                        *graph.value(node.inputs[1]).constant,
                                        *graph.value(node.inputs[2]).constant};
    ASSERT_TRUE(remembering.Run(node, inputs).ok());
    EXPECT_EQ(remembering.spared_runs(), spared);
  }
}

TEST(RememberingSource, KeepsNoMoreThanItMay) {
  const Graph graph = RandomNet(1);
  TestRandom random(1);
  ReferenceActivationSource inner({random.NormalTensor({8, 3, 8, 8}, 1)}, 17);
  RememberingSource remembering(graph, inner, /*most_bytes=*/100);
  const std::vector<Tensor> first = *remembering.Inputs(0, 8);
  EXPECT_EQ(first[0].bytes(), (*remembering.Inputs(0, 8))[0].bytes());
  const Node& node = graph.nodes()[0];
  std::vector<Tensor> inputs = {first[0], *graph.value(node.inputs[1]).constant,
                                *graph.value(node.inputs[2]).constant};
  ASSERT_TRUE(remembering.Run(node, inputs).ok());
  ASSERT_TRUE(remembering.Run(node, inputs).ok());
  EXPECT_EQ(remembering.spared_runs(), 0);
}

}  // namespace
}  // namespace lathe
