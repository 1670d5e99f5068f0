#include "compressor/equalize.h"

#include <cmath>

#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// A chain with a depthwise convolution, of which `last_op` is not linear.
Graph Chain(uint64_t seed) {
  NetBuilder net(seed);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 6, 6}), 3, 8, 3);
  net.Relu();
  x = net.Conv(x, 8, 8, 3, 1, /*groups=*/8);
  net.Relu();
  return net.Build({net.Conv(x, 8, 4, 1)});
}

TEST(EqualizeLayers, TheNetworkComputesTheSame) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Graph graph = Chain(seed);
    const auto equalized = EqualizeLayers(graph, {0, 1, 2});
    ASSERT_TRUE(equalized.ok()) << equalized.status();
    EXPECT_EQ(equalized->scaled.size(), 2u);
    TestRandom random(seed);
    const Tensor input = random.NormalTensor({2, 3, 6, 6}, 1);
    ExpectNear(Evaluate(equalized->graph, input), Evaluate(graph, input), 1e-4);
  }
}

TEST(EqualizeLayers, WhatMakesAChannelAndWhatReadsItGetOneRange) {
  const auto equalized = EqualizeLayers(Chain(3), {0, 1, 2});
  ASSERT_TRUE(equalized.ok());
  const auto weights = [&](int node) {
    const Graph& graph = equalized->graph;
    return graph.value(graph.nodes()[node].inputs[1]).constant->values<float>();
  };
  for (int channel = 0; channel < 8; ++channel) {
    float made = 0;
    float kept = 0;
    float read = 0;
    for (int i = 0; i < 27; ++i) {
      made = std::max(made, std::abs(weights(0)[channel * 27 + i]));
    }
    for (int i = 0; i < 9; ++i) {
      kept = std::max(kept, std::abs(weights(1)[channel * 9 + i]));
    }
    for (int out = 0; out < 4; ++out) {
      read = std::max(read, std::abs(weights(2)[out * 8 + channel]));
    }
    EXPECT_NEAR(made, kept, 0.01 * made);
    EXPECT_NEAR(kept, read, 0.01 * read);
  }
}

TEST(EqualizeLayers, LayersOutsideAndOtherReadersAreLeftAlone) {
  const Graph graph = Chain(1);
  const auto none = EqualizeLayers(graph, {0, 2});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->scaled.empty());
  EXPECT_TRUE(AreEqual(none->graph, graph));
}

}  // namespace
}  // namespace lathe
