#include "compressor/channel_groups.h"

#include <ostream>
#include <set>

#include "compressor/testing/net_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;

ChannelGroups Find(const Graph& graph) {
  absl::StatusOr<ChannelGroups> groups = FindChannelGroups(graph);
  EXPECT_TRUE(groups.ok()) << groups.status();
  return groups.ok() ? *groups : ChannelGroups{};
}

std::vector<int> GroupOfEachLayer(const ChannelGroups& groups) {
  std::vector<int> group;
  for (const LayerChannels& layer : groups.layers) group.push_back(layer.group);
  return group;
}

std::vector<bool> Pinned(const ChannelGroups& groups) {
  std::vector<bool> pinned;
  for (const ChannelGroup& group : groups.groups) {
    pinned.push_back(group.is_pinned);
  }
  return pinned;
}

TEST(ChannelGroups, AChainHasAGroupForEachLayerAndPinsTheLast) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  net.Relu();
  const ChannelGroups groups = Find(net.Build({net.Conv(x, 16, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 1));
  EXPECT_THAT(Pinned(groups), ElementsAre(false, true));
  EXPECT_EQ(groups.layers[1].in_symbols, groups.layers[0].out_symbols);
  EXPECT_EQ(std::set<int>(groups.layers[0].out_symbols.begin(),
                          groups.layers[0].out_symbols.end())
                .size(),
            16u);
}

TEST(ChannelGroups, AResidualAdditionTiesBothBranches) {
  NetBuilder net(1);
  const ValueId a = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  const ValueId inner = net.Conv(a, 16, 24, 3);
  const ValueId sum = net.Conv(inner, 24, 16, 3);
  net.AddInto(a);
  net.Relu();
  const ChannelGroups groups = Find(net.Build({net.Conv(sum, 16, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 1, 0, 2));
  EXPECT_EQ(groups.layers[2].out_symbols, groups.layers[0].out_symbols);
  EXPECT_EQ(groups.groups[0].classes.size(), 1u);
}

TEST(ChannelGroups, AConcatKeepsItsBranchesApart) {
  NetBuilder net(1);
  const ValueId in = net.Input({kDynamic, 3, 8, 8});
  const ValueId a = net.Conv(in, 3, 16, 3);
  const ValueId b = net.Conv(in, 3, 24, 3);
  const ValueId both = net.Op("Concat", {a, b}, {{"axis", int64_t{1}}});
  const ChannelGroups groups = Find(net.Build({net.Conv(both, 40, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 1, 2));
  std::vector<int> joined = groups.layers[0].out_symbols;
  joined.insert(joined.end(), groups.layers[1].out_symbols.begin(),
                groups.layers[1].out_symbols.end());
  EXPECT_EQ(groups.layers[2].in_symbols, joined);
}

TEST(ChannelGroups, ADepthwiseConvolutionBelongsToItsProducer) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  x = net.Conv(x, 16, 32, 3, 1, /*groups=*/16);
  const ChannelGroups groups = Find(net.Build({net.Conv(x, 32, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 0, 1));
  EXPECT_EQ(groups.layers[1].kind, "depthwise_conv");
  // Two outputs for every input.
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(groups.layers[1].out_symbols[i],
              groups.layers[0].out_symbols[i / 2]);
  }
}

TEST(ChannelGroups, AGroupedConvolutionTiesTheSamePlaceInEachGroup) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  x = net.Conv(x, 16, 16, 3, 1, /*groups=*/4);
  const ChannelGroups groups = Find(net.Build({net.Conv(x, 16, 8, 1)}));
  EXPECT_EQ(groups.layers[1].kind, "grouped_conv");
  EXPECT_THAT(Pinned(groups), ElementsAre(false, false, true));
  for (const int layer : {0, 1}) {
    const std::vector<int>& symbols = groups.layers[layer].out_symbols;
    EXPECT_EQ(std::set<int>(symbols.begin(), symbols.end()).size(), 4u);
    for (int i = 4; i < 16; ++i) EXPECT_EQ(symbols[i], symbols[i - 4]);
  }
}

TEST(ChannelGroups, FlattenRepeatsAChannelForEachPosition) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 2, 2}), 3, 16, 3);
  x = net.Op("Flatten", {x});
  const ChannelGroups groups = Find(net.Build({net.Gemm(x, 64, 5, true)}));
  EXPECT_THAT(Pinned(groups), ElementsAre(false, true));
  ASSERT_EQ(groups.layers[1].in_symbols.size(), 64u);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(groups.layers[1].in_symbols[i],
              groups.layers[0].out_symbols[i / 4]);
  }
}

TEST(ChannelGroups, PaddedShortcutsTieStagesInClassesOfEqualShare) {
  NetBuilder net(1);
  const ValueId a = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  const ValueId pad = net.Op("Pad", {a, net.Ints({0, 8, 0, 0, 0, 8, 0, 0})});
  const ValueId b = net.Conv(a, 16, 32, 3);
  net.AddInto(pad);
  const ChannelGroups groups = Find(net.Build({net.Conv(b, 32, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 0, 1));
  ASSERT_EQ(groups.groups[0].classes.size(), 2u);
  EXPECT_EQ(groups.groups[0].classes[0].size(), 16u);
  EXPECT_EQ(groups.groups[0].classes[1].size(), 16u);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(groups.layers[1].out_symbols[8 + i],
              groups.layers[0].out_symbols[i]);
  }
}

TEST(ChannelGroups, AGateBelongsToWhatItGates) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  const ValueId gate = net.Conv(net.Op("GlobalAveragePool", {x}), 16, 16, 1);
  const ValueId gated = net.Op("Mul", {x, net.Op("Sigmoid", {gate})});
  const ChannelGroups groups = Find(net.Build({net.Conv(gated, 16, 8, 1)}));
  EXPECT_THAT(GroupOfEachLayer(groups), ElementsAre(0, 0, 1));
  EXPECT_THAT(Pinned(groups), ElementsAre(false, true));
}

// Each makes a value of 16 channels reach a consumer in a way that has to keep
// all of them.
struct PinningCase {
  const char* name;
  ValueId (*build)(NetBuilder& net, ValueId x);  // x is [?, 16, 4, 4].
};
void PrintTo(const PinningCase& c, std::ostream* out) { *out << c.name; }

class Pinning : public ::testing::TestWithParam<PinningCase> {};

TEST_P(Pinning, KeepsAllChannels) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 4, 4}), 3, 16, 3);
  const ChannelGroups groups = Find(net.Build({GetParam().build(net, x)}));
  EXPECT_TRUE(groups.groups[0].is_pinned);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Pinning,
    ::testing::Values(
        PinningCase{
            "SoftmaxOverChannels",
            [](NetBuilder& net, ValueId x) {
              const ValueId y = net.Op("Softmax", {x}, {{"axis", int64_t{1}}});
              return net.Conv(y, 16, 8, 1);
            }},
        PinningCase{"MeanOverChannels",
                    [](NetBuilder& net, ValueId x) {
                      return net.Op("ReduceMean", {x},
                                    {{"axes", std::vector<int64_t>{1}}});
                    }},
        PinningCase{"SplitChannels",
                    [](NetBuilder& net, ValueId x) {
                      const ValueId y =
                          net.Op("Reshape", {x, net.Ints({0, 4, 4, 4, 4})});
                      return net.Op("Flatten", {y});
                    }},
        PinningCase{"EverySecondChannel",
                    [](NetBuilder& net, ValueId x) {
                      const ValueId y =
                          net.Op("Slice", {x, net.Ints({0}), net.Ints({16}),
                                           net.Ints({1}), net.Ints({2})});
                      return net.Conv(y, 8, 8, 1);
                    }},
        PinningCase{"ReversedChannels",
                    [](NetBuilder& net, ValueId x) {
                      const ValueId y =
                          net.Op("Slice", {x, net.Ints({-1}), net.Ints({-1000}),
                                           net.Ints({1}), net.Ints({-1})});
                      return net.Conv(y, 16, 8, 1);
                    }},
        PinningCase{
            "BatchMergedIntoRows",
            [](NetBuilder& net, ValueId x) {
              const ValueId y = net.Op("Reshape", {x, net.Ints({-1, 4})});
              return net.Gemm(y, 4, 8, false);
            }},
        PinningCase{"ConvolvedWithActivations",
                    [](NetBuilder& net, ValueId x) {
                      const ValueId pooled = net.Op("GlobalAveragePool", {x});
                      return net.Op("Conv", {net.Input({1, 16, 4, 4}), pooled});
                    }},
        PinningCase{"AddedToTheModelsInput",
                    [](NetBuilder& net, ValueId x) {
                      const ValueId y =
                          net.Op("Add", {x, net.Input({kDynamic, 16, 4, 4})});
                      return net.Conv(y, 16, 8, 1);
                    }},
        PinningCase{"AddedAcrossAxes",
                    [](NetBuilder& net, ValueId x) {
                      // [?, 16] against the last axis of [?, 16, 4, 16].
                      const ValueId wide =
                          net.Conv(net.Input({kDynamic, 3, 1, 16}), 3, 16, 1);
                      const ValueId row =
                          net.Op("Reshape", {net.Op("GlobalAveragePool", {x}),
                                             net.Ints({0, 1, 1, -1})});
                      return net.Conv(net.Op("Add", {row, wide}), 16, 8, 1);
                    }}),
    [](const ::testing::TestParamInfo<PinningCase>& info) {
      return info.param.name;
    });

TEST(ChannelGroups, AnInferredTargetSizeDoesNotPin) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 4, 4}), 3, 16, 3);
  const ValueId flat = net.Op("Reshape", {x, net.Ints({0, -1})});
  const ChannelGroups groups = Find(net.Build({net.Gemm(flat, 256, 8, false)}));
  EXPECT_FALSE(groups.groups[0].is_pinned);
}

TEST(ChannelGroups, ABatchSizeReadFromAShapeDoesNotPinButAChannelCountDoes) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 4, 4}), 3, 16, 3);
  const ValueId batch = net.Op("Gather", {net.Op("Shape", {x}), net.Ints({0})});
  const ValueId target =
      net.Op("Concat", {batch, net.Ints({-1})}, {{"axis", int64_t{0}}});
  const ValueId flat = net.Op("Reshape", {x, target});
  const ChannelGroups by_batch =
      Find(net.Build({net.Gemm(flat, 256, 8, false)}));
  EXPECT_FALSE(by_batch.groups[0].is_pinned);
  EXPECT_EQ(by_batch.layers[1].in_symbols.size(), 256u);

  NetBuilder other(1);
  const ValueId y = other.Conv(other.Input({kDynamic, 3, 4, 4}), 3, 16, 3);
  const ValueId channels =
      other.Op("Gather", {other.Op("Shape", {y}), other.Ints({1})});
  const ValueId mean = other.Op("GlobalAveragePool", {y});
  const ValueId sizes =
      other.Op("Concat", {other.Ints({-1}), channels}, {{"axis", int64_t{0}}});
  const ValueId row = other.Op("Reshape", {mean, sizes});
  const ChannelGroups by_channels =
      Find(other.Build({other.Gemm(row, 16, 8, false)}));
  EXPECT_TRUE(by_channels.groups[0].is_pinned);
}

TEST(ChannelGroups, LayerNormalizationPinsButStillTellsWhereChannelsComeFrom) {
  NetBuilder net(1);
  const ValueId in = net.Input({kDynamic, 4, 8});
  const ValueId x = net.Op("MatMul", {in, net.Random({8, 16}, 1)});
  const ValueId y = net.Op("LayerNormalization", {x, net.Random({16}, 1)});
  const ChannelGroups groups =
      Find(net.Build({net.Op("MatMul", {y, net.Random({16, 8}, 1)})}));
  EXPECT_TRUE(groups.groups[0].is_pinned);
  EXPECT_EQ(groups.layers[1].in_symbols, groups.layers[0].out_symbols);
}

}  // namespace
}  // namespace lathe
