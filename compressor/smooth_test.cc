#include "compressor/smooth.h"

#include <cmath>

#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Two linear layers on a normalisation of which one channel is 50 times as
// large as the others.
Graph NormNet() {
  NetBuilder net(1);
  std::vector<float> scale(16, 1);
  scale[3] = 50;
  const ValueId x = net.Op(
      "LayerNormalization",
      {net.Input({kDynamic, 6, 16}),
       net.Constant(Tensor::Of<float>({16}, scale)), net.Random({16}, 0.1f)},
      {{"axis", int64_t{-1}}});
  const ValueId a = net.Op("MatMul", {x, net.Random({16, 8}, 1)});
  const ValueId b = net.Op("MatMul", {x, net.Random({16, 8}, 1)});
  return net.Build({net.Op("Add", {a, b})});
}

TEST(SmoothLayers, TheNetworkComputesTheSameFromEvenerChannels) {
  const Graph graph = NormNet();
  TestRandom random(2);
  const Tensor input = random.NormalTensor({8, 6, 16}, 1);
  ReferenceActivationSource source({input}, 17);
  const auto smoothed = SmoothLayers(graph, {1, 2}, source, {});
  ASSERT_TRUE(smoothed.ok()) << smoothed.status();
  EXPECT_EQ(smoothed->scaled, std::set<ValueId>{graph.nodes()[0].outputs[0]});
  ExpectNear(Evaluate(smoothed->graph, input), Evaluate(graph, input), 1e-5);
  const auto scale = [](const Graph& g) {
    return g.value(g.nodes()[0].inputs[1]).constant->values<float>();
  };
  EXPECT_LT(scale(smoothed->graph)[3] / scale(smoothed->graph)[0],
            0.5f * scale(graph)[3] / scale(graph)[0]);
}

TEST(SmoothLayers, ANormalisationThatOthersReadStays) {
  const Graph graph = NormNet();
  ReferenceActivationSource source({TestRandom(2).NormalTensor({8, 6, 16}, 1)},
                                   17);
  const auto smoothed = SmoothLayers(graph, {1}, source, {});
  ASSERT_TRUE(smoothed.ok()) << smoothed.status();
  EXPECT_TRUE(smoothed->scaled.empty());
  EXPECT_TRUE(AreEqual(smoothed->graph, graph));
}

}  // namespace
}  // namespace lathe
