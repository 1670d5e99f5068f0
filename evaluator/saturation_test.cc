// 8-bit layers on processors without VNNI, whose kernels add pairs of products
// in 16 bits. Also run under ONEDNN_MAX_CPU_ISA, which makes oneDNN take this
// processor for an older one (see CMakeLists.txt).
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "evaluator/executor.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr int64_t kChannels = 32;

// `tensor` with numbers in [0.9, 1]: the largest sums that its shape can make.
Tensor NearOne(const Tensor& tensor) {
  std::vector<float> values;
  for (const float value : tensor.values<float>()) {
    values.push_back(0.9f + 0.1f * std::abs(std::sin(value)));
  }
  return Tensor::Of<float>(tensor.shape(), values);
}

struct LargeSums {
  Graph graph;
  std::vector<Tensor> inputs;
};

// A convolution and a Gemm behind it, inputs and weights near their largest
// levels; weights of `bits` bits.
LargeSums MakeLargeSums(bool is_signed, int bits) {
  GraphBuilder b(1);
  const ValueId x = b.Input({2, kChannels, 6, 6});
  const ValueId y = AddConv(b, x, kChannels, kChannels, v1::INT8);
  NodeSpec gemm{"Gemm",
                {b.Add({"Flatten", {b.Add({"GlobalAveragePool", {y}})}}),
                 b.Weights({kChannels, 10}, 1), b.Weights({10}, 1)}};
  gemm.precision = v1::INT8;
  GraphParts parts = b.Build({b.Add(gemm)}).parts();
  for (Value& value : parts.values) {
    if (value.constant && value.constant->shape().size() > 1) {
      value.constant = NearOne(*value.constant);
    }
  }
  const Graph plain = *Graph::Create(std::move(parts));
  std::vector<Tensor> inputs = RandomInputs(plain, b.random());
  for (Tensor& input : inputs) input = NearOne(input);
  GridOptions options;
  options.is_signed = is_signed;
  parts = WithGrids(plain, inputs, options).parts();
  for (Node& node : parts.nodes) {
    if (!node.quantized_weights) continue;
    // Fewer bits: the same scales for levels that are cut off.
    const int most = (1 << (bits - 1)) - 1;
    node.quantized_weights->bits = bits;
    std::vector<float> values;
    const auto& scales = node.quantized_weights->scales;
    const Shape& shape = parts.values[node.inputs[1]].constant->shape();
    const int64_t count = ElementCount(shape);
    const bool is_last = node.op_type == "Gemm";
    const int64_t channels = is_last ? shape.back() : shape[0];
    for (int64_t i = 0; i < count; ++i) {
      int8_t& level = node.quantized_weights->levels[i];
      level = static_cast<int8_t>(std::clamp<int>(level, -most, most));
      const int64_t channel = is_last ? i % channels : i / (count / channels);
      values.push_back(scales[scales.size() == 1 ? 0 : channel] * level);
    }
    parts.values[node.inputs[1]].constant = Tensor::Of<float>(shape, values);
  }
  return {*Graph::Create(std::move(parts)), std::move(inputs)};
}

// Of each layer, whether it runs in integers.
std::vector<bool> IntegerLayers(const Graph& graph) {
  const auto executor = Executor::Compile(graph, {2});
  EXPECT_TRUE(executor.ok()) << executor.status();
  std::vector<bool> layers;
  if (!executor.ok()) return layers;
  for (const StepInfo& step : (*executor)->steps()) {
    if (step.kind == "conv" || step.kind == "gemm") {
      layers.push_back(step.is_integer);
    }
  }
  return layers;
}

TEST(Saturation, TheLargestSumsAreRightInEveryForm) {
  for (const int bits : {8, 7, 6}) {
    for (const bool is_signed : {false, true}) {
      SCOPED_TRACE(testing::Message() << bits << " bits, signed " << is_signed
                                      << ", " << ProbeHardware(1).isa());
      const LargeSums sums = MakeLargeSums(is_signed, bits);
      ExpectSameOnGrids(sums.graph, sums.inputs);
    }
  }
}

TEST(Saturation, WeightsThatFit16BitsRunInIntegersEverywhere) {
  const std::string isa = ProbeHardware(1).isa();
  if (!absl::StartsWith(isa, "avx512") && !absl::StartsWith(isa, "avx2")) {
    GTEST_SKIP() << "oneDNN has no 8-bit convolutions on " << isa;
  }
  const std::vector<bool> small = IntegerLayers(MakeLargeSums(false, 7).graph);
  ASSERT_EQ(small.size(), 2);
  EXPECT_TRUE(small[0]);
  const std::vector<bool> large = IntegerLayers(MakeLargeSums(false, 8).graph);
  ASSERT_EQ(large.size(), 2);
  EXPECT_EQ(large[0], HasExactInt8());
}

TEST(Saturation, TheProfileTellsWhatIsEmulated) {
  const char* most = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (most == nullptr || *most == 0) GTEST_SKIP() << "nothing is emulated";
  EXPECT_FALSE(absl::StrContains(ProbeHardware(1).isa(), "vnni"));
  EXPECT_FALSE(HasExactInt8());
}

}  // namespace
}  // namespace lathe
