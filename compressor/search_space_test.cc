#include "compressor/search_space.h"

#include <cmath>
#include <set>

#include "compressor/testing/net_builder.h"
#include "compressor/testing/random_nets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::SearchSpace Make(const Graph& graph, const SpaceOptions& options = {}) {
  absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(graph, options);
  EXPECT_TRUE(space.ok()) << space.status();
  return space.ok() ? *space : v1::SearchSpace();
}

TEST(SearchSpace, DescribesAConvolution) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 32, 3, 2);
  const v1::Layer layer = Make(net.Build({net.Conv(x, 32, 4, 1)})).layers(0);
  EXPECT_EQ(layer.name(), "Conv0");
  EXPECT_EQ(layer.kind(), "conv");
  EXPECT_EQ(layer.in_channels(), 3);
  EXPECT_EQ(layer.out_channels(), 32);
  EXPECT_EQ(layer.kernel_height(), 3);
  EXPECT_EQ(layer.kernel_width(), 3);
  EXPECT_EQ(layer.stride(), 2);
  EXPECT_EQ(layer.in_pixels(), 64);
  EXPECT_EQ(layer.out_pixels(), 16);
  EXPECT_EQ(layer.parameters(), 32 * 3 * 9);
  EXPECT_EQ(layer.macs(), 32 * 3 * 9 * 16);
  EXPECT_THAT(layer.keep_ratios(), ElementsAre(1, 0.75, 0.5, 0.25));
  EXPECT_TRUE(layer.input_groups().empty());
}

TEST(SearchSpace, DescribesDepthwiseAndLinearLayers) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 16, 4, 4}), 16, 32, 1);
  x = net.Conv(x, 32, 32, 3, 1, 32);
  x = net.Op("Flatten", {x});
  const v1::SearchSpace space = Make(net.Build({net.Gemm(x, 512, 7, false)}));
  EXPECT_EQ(space.layers(1).kind(), "depthwise_conv");
  EXPECT_EQ(space.layers(1).in_channels(), 32);
  EXPECT_EQ(space.layers(1).macs(), 32 * 9 * 16);
  EXPECT_EQ(space.layers(1).group(), space.layers(0).group());
  EXPECT_EQ(space.layers(2).kind(), "linear");
  EXPECT_EQ(space.layers(2).in_channels(), 512);
  EXPECT_EQ(space.layers(2).out_channels(), 7);
  EXPECT_EQ(space.layers(2).out_pixels(), 1);
  EXPECT_EQ(space.layers(2).macs(), 512 * 7);
  EXPECT_THAT(space.layers(2).keep_ratios(), ElementsAre(1));
  EXPECT_THAT(space.layers(2).input_groups(), ElementsAre(0));
}

TEST(SearchSpace, OffersF32FirstAndBf16OnlyWhereItPays) {
  NetBuilder net(1);
  const Graph graph =
      net.Build({net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 8, 3)});
  SpaceOptions options;
  options.weight_bits = {8, 4};
  const auto widths = [&graph](const SpaceOptions& options) {
    const v1::Layer layer = Make(graph, options).layers(0);
    std::vector<std::pair<int, int>> all;
    for (const v1::PrecisionOption& p : layer.precisions()) {
      all.push_back({p.precision(), p.weight_bits()});
    }
    return all;
  };
  using Pairs = std::vector<std::pair<int, int>>;
  EXPECT_EQ(widths(options),
            (Pairs{{v1::F32, 32}, {v1::INT8, 8}, {v1::INT8, 4}}));
  options.has_bf16 = true;
  EXPECT_EQ(
      widths(options),
      (Pairs{{v1::F32, 32}, {v1::BF16, 16}, {v1::INT8, 8}, {v1::INT8, 4}}));
}

TEST(SearchSpace, OffersAtMostSoManyRatiosWithTheExtremes) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 128, 3);
  const Graph graph = net.Build({net.Conv(x, 128, 4, 1)});
  SpaceOptions options;
  options.most_keep_ratios = 4;
  const v1::Layer layer = Make(graph, options).layers(0);
  ASSERT_EQ(layer.keep_ratios_size(), 4);
  EXPECT_EQ(layer.keep_ratios(0), 1);
  EXPECT_EQ(layer.keep_ratios(3), 0.25);
}

TEST(SearchSpace, TiedStagesShareTheRatiosThatSuitTheNarrowest) {
  NetBuilder net(1);
  const ValueId a = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3);
  const ValueId pad = net.Op("Pad", {a, net.Ints({0, 8, 0, 0, 0, 8, 0, 0})});
  const ValueId b = net.Conv(a, 16, 32, 3);
  net.AddInto(pad);
  const v1::SearchSpace space = Make(net.Build({net.Conv(b, 32, 4, 1)}));
  EXPECT_THAT(space.layers(0).keep_ratios(), ElementsAre(1, 0.5));
  EXPECT_THAT(space.layers(1).keep_ratios(), ElementsAre(1, 0.5));
}

TEST(SearchSpace, NarrowLayersKeepAllChannels) {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 15, 3);
  EXPECT_THAT(Make(net.Build({net.Conv(x, 15, 4, 1)})).layers(0).keep_ratios(),
              ElementsAre(1));
}

TEST(SearchSpace, RefusesAModelWithoutLayers) {
  NetBuilder net(1);
  const absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(
      net.Build({net.Op("Relu", {net.Input({kDynamic, 3})})}), {});
  EXPECT_EQ(space.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(space.status().message()),
              HasSubstr("nothing to compress"));
}

class RandomSpaces : public ::testing::TestWithParam<int> {};

TEST_P(RandomSpaces, OffersWholeBlocksAndEqualRatiosInAGroup) {
  const v1::SearchSpace space = Make(RandomNet(GetParam()));
  std::map<int, std::vector<double>> of_group;
  for (const v1::Layer& layer : space.layers()) {
    const std::vector<double> ratios(layer.keep_ratios().begin(),
                                     layer.keep_ratios().end());
    EXPECT_EQ(ratios[0], 1);
    EXPECT_EQ(of_group.emplace(layer.group(), ratios).first->second, ratios);
    std::set<int64_t> counts;
    for (size_t i = 1; i < ratios.size(); ++i) {
      EXPECT_LT(ratios[i], ratios[i - 1]);
      EXPECT_GE(ratios[i], 0.25);
      const double count = ratios[i] * layer.out_channels();
      EXPECT_EQ(count, std::round(count));
      EXPECT_EQ(KeptChannels(layer.out_channels(), ratios[i]) % 8, 0);
      counts.insert(KeptChannels(layer.out_channels(), ratios[i]));
    }
    EXPECT_EQ(counts.size(), ratios.size() - 1);
  }
  EXPECT_TRUE(ValidatePlan(space, BaselinePlan(space)).ok());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSpaces, ::testing::Range(0, 40));

}  // namespace
}  // namespace lathe
