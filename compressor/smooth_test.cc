#include "compressor/smooth.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

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

// Equation 4 of the paper, number by number.
TEST(SmoothLayers, ScalesAreThoseOfThePaper) {
  const Graph graph = NormNet();
  const Tensor input = TestRandom(2).NormalTensor({8, 6, 16}, 1);
  ReferenceActivationSource source({input}, 17);
  for (const double strength : {0.25, 0.5, 0.9}) {
    SmoothOptions options;
    options.strength = strength;
    const auto smoothed = SmoothLayers(graph, {1, 2}, source, options);
    ASSERT_TRUE(smoothed.ok()) << smoothed.status();
    const auto constant = [](const Graph& g, int node, int at) {
      return g.value(g.nodes()[node].inputs[at]).constant->values<float>();
    };
    GraphParts first = graph.parts();
    first.outputs = {graph.nodes()[0].outputs[0]};
    const Tensor normed = Evaluate(*Graph::Create(std::move(first)), input);
    for (int c = 0; c < 16; ++c) {
      double most_x = 0;
      for (int r = 0; r < 8 * 6; ++r) {
        most_x = std::max<double>(most_x,
                                  std::abs(normed.values<float>()[r * 16 + c]));
      }
      double most_w = 0;
      for (const int node : {1, 2}) {
        for (int o = 0; o < 8; ++o) {
          most_w = std::max<double>(
              most_w, std::abs(constant(graph, node, 1)[c * 8 + o]));
        }
      }
      const double scale =
          std::pow(most_x, strength) / std::pow(most_w, 1 - strength);
      for (const int at : {1, 2}) {
        EXPECT_NEAR(constant(smoothed->graph, 0, at)[c] * scale,
                    constant(graph, 0, at)[c],
                    1e-5 * std::abs(constant(graph, 0, at)[c]));
      }
      for (const int node : {1, 2}) {
        for (int o = 0; o < 8; ++o) {
          const double whole = constant(graph, node, 1)[c * 8 + o] * scale;
          EXPECT_NEAR(constant(smoothed->graph, node, 1)[c * 8 + o], whole,
                      1e-5 * std::abs(whole));
        }
      }
    }
  }
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
