#include "compressor/layer_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

v1::Layer Named(const std::string& name, const std::string& kind) {
  v1::Layer layer;
  layer.set_name(name);
  layer.set_kind(kind);
  return layer;
}

TEST(LayerRules, PatternsNameLayers) {
  const v1::Layer layer = Named("blocks.0/conv", "depthwise_conv");
  for (const char* pattern :
       {"blocks.0/conv", "*", "blocks.*", "*conv", "b*0*v", "blocks.?/conv",
        "**", "blocks.0/conv*", "kind:depthwise_conv"}) {
    EXPECT_TRUE(IsNamed(layer, {std::string(pattern)})) << pattern;
  }
  for (const char* pattern :
       {"", "conv", "blocks.1*", "blocks.0/conv?", "b*0*w", "?", "kind:conv",
        "kind:*", "Blocks.0/conv"}) {
    EXPECT_FALSE(IsNamed(layer, {std::string(pattern)})) << pattern;
  }
  EXPECT_FALSE(IsNamed(layer, {}));
  EXPECT_TRUE(IsNamed(layer, {"other", "blocks*"}));
}

// The first and the second end in one addition; the third reads it.
Graph ThreeConvs() {
  NetBuilder net(/*seed=*/3);
  const ValueId input = net.Input({kDynamic, 3, 6, 6});
  const ValueId first = net.Conv(input, 3, 32, 1);
  net.Relu();
  const ValueId second = net.Conv(first, 32, 32, 3);
  net.AddInto(first);
  net.Relu();
  return net.Build({net.Conv(second, 32, 32, 1)});
}

TEST(LayerRules, TakeChoicesOutOfTheSpace) {
  const Graph graph = *Canonicalize(ThreeConvs());
  const v1::SearchSpace whole = *MakeSearchSpace(graph, {});
  ASSERT_EQ(whole.layers_size(), 3);
  SpaceOptions options;
  options.rules.keep_f32 = {whole.layers(1).name()};
  options.rules.keep_channels = {whole.layers(0).name()};
  const v1::SearchSpace space = *MakeSearchSpace(graph, options);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(space.layers(i).precisions_size(),
              i == 1 ? 1 : whole.layers(i).precisions_size());
    const bool is_whole = whole.layers(i).group() == whole.layers(0).group();
    EXPECT_EQ(space.layers(i).keep_ratios_size(),
              is_whole ? 1 : whole.layers(i).keep_ratios_size());
  }
  ASSERT_GT(whole.layers(0).keep_ratios_size(), 1);
  EXPECT_EQ(space.layers(1).precisions(0).precision(), v1::F32);
}

TEST(LayerRules, APatternThatFitsNoLayerIsRefusedByName) {
  const Graph graph = *Canonicalize(ThreeConvs());
  SpaceOptions options;
  options.rules.keep_channels = {"kind:conv", "nonesuch"};
  const auto space = MakeSearchSpace(graph, options);
  EXPECT_EQ(space.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(space.status().message()),
              HasSubstr("keep_channels: 'nonesuch' fits no layer"));
}

TEST(LayerRules, ALayerThatStaysKeepsItsNumbersAmongZerosAndCodebooks) {
  const Graph graph = *Canonicalize(ThreeConvs());
  SpaceOptions options;
  options.rules.keep_f32 = {graph.nodes()[1].name};
  const v1::SearchSpace space = *MakeSearchSpace(graph, options);
  ReferenceActivationSource source(
      {TestRandom(/*seed=*/4).NormalTensor({8, 3, 6, 6}, 1)}, 17);
  CompressOptions compress;
  compress.weights.sparsity = {0.5};
  compress.weights.clusters = 4;
  compress.keep_f32 = options.rules.keep_f32;
  const Graph compressed = *Compress(graph, space, BaselinePlan(space),
                                     ActivationStats(), source, compress);
  for (int i = 0; i < 3; ++i) {
    const auto weights = [i](const Graph& g) {
      return g.value(g.nodes()[i].inputs[1]).constant->bytes();
    };
    EXPECT_EQ(weights(graph) == weights(compressed), i == 1) << i;
  }
}

}  // namespace
}  // namespace lathe
