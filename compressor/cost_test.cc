#include "compressor/cost.h"

#include "compressor/testing/net_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

ModelCost Cost(const Graph& graph) {
  absl::StatusOr<ModelCost> cost = ComputeCost(graph);
  EXPECT_TRUE(cost.ok()) << cost.status();
  return cost.ok() ? *cost : ModelCost{};
}

Graph OneConv() {
  NetBuilder net(1);
  return net.Build({net.Conv(net.Input({kDynamic, 3, 8, 8}), 3, 16, 3, 2)});
}

// The graph with INT8 weights of `bits` bits, all of them `level`.
Graph Quantized(int bits, int8_t level) {
  GraphParts parts = OneConv().parts();
  QuantizedWeights weights;
  weights.bits = bits;
  weights.scales.assign(16, 0.5f);
  weights.levels.assign(16 * 27, level);
  parts.nodes[0].precision = v1::INT8;
  parts.nodes[0].quantized_weights = weights;
  return *Graph::Create(parts);
}

TEST(Cost, CountsMultiplyAccumulatesOfOneSample) {
  EXPECT_EQ(Cost(OneConv()).macs, 16 * 16 * 27);
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 4, 6, 6}), 4, 4, 3, 1, 4);
  x = net.Op("Flatten", {x});
  x = net.Gemm(x, 144, 10, true);
  EXPECT_EQ(
      Cost(net.Build({net.Op("MatMul", {x, net.Random({10, 7}, 1)})})).macs,
      4 * 36 * 9 + 144 * 10 + 10 * 7);
}

TEST(Cost, FloatConstantsCountAsTheyAre) {
  const ModelCost cost = Cost(OneConv());
  EXPECT_EQ(cost.packed_bytes, 4 * (16 * 27 + 16));
}

TEST(Cost, WeightsOfACodebookCountItAndTheirIndices) {
  GraphParts parts = OneConv().parts();
  std::vector<float> weights(16 * 27);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 0.1f * static_cast<float>(i % 16);
  }
  Value& value = parts.values[parts.nodes[0].inputs[1]];
  value.constant = Tensor::Of<float>(value.constant->shape(), weights);
  EXPECT_EQ(Cost(*Graph::Create(parts)).packed_bytes,
            1 + 4 * 16 + 16 * 27 / 2 + 4 * 16);
}

TEST(Cost, Bf16WeightsCountTwoBytes) {
  GraphParts parts = OneConv().parts();
  parts.nodes[0].precision = v1::BF16;
  EXPECT_EQ(Cost(*Graph::Create(parts)).packed_bytes, 2 * 16 * 27 + 4 * 16);
}

TEST(Cost, Int8WeightsCountTheirBitsAndTheirScales) {
  for (int bits = 2; bits <= 8; ++bits) {
    EXPECT_EQ(Cost(Quantized(bits, 1)).packed_bytes,
              (16 * 27 * bits + 7) / 8 + 4 * 16 + 4 * 16);
  }
}

TEST(Cost, ASharedConstantCountsOnce) {
  NetBuilder net(1);
  const ValueId in = net.Input({kDynamic, 4, 2, 2});
  const ValueId weights = net.Random({4, 4, 1, 1}, 1);
  const ValueId x = net.Op("Conv", {in, weights});
  EXPECT_EQ(Cost(net.Build({net.Op("Conv", {x, weights})})).packed_bytes, 64);
}

}  // namespace
}  // namespace lathe
