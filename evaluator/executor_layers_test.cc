// Single layers in every precision, with everything that can be fused into
// them, against the reference operators.
#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>

#include "compressor/reference_ops.h"
#include "evaluator/executor.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// bfloat16 has 8 bits of mantissa: inputs, weights, addends and the result are
// each off by at most 2^-9 of themselves, so the sum of magnitudes bounds the
// difference. Activations here have slopes of at most 1.1 (HardSwish).
void ExpectSameInBfloat16(const Graph& graph,
                          const std::vector<Tensor>& inputs) {
  const auto expected = EvaluateGraph(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const auto actual = Execute(graph, inputs);
  float magnitude = 0;
  GraphParts parts = graph.parts();
  for (Value& value : parts.values) {
    if (!value.constant || value.type != DataType::kFloat32) continue;
    std::vector<float> positive;
    for (float v : value.constant->values<float>()) {
      positive.push_back(std::abs(v));
    }
    value.constant = Tensor::Of<float>(value.constant->shape(), positive);
  }
  for (Node& node : parts.nodes) {
    for (PostOp& op : node.post_ops) {
      if (op.kind != PostOp::Kind::kAdd) op.kind = PostOp::Kind::kRelu;
    }
  }
  std::vector<Tensor> positive_inputs;
  for (const Tensor& input : inputs) {
    std::vector<float> positive;
    for (float v : input.values<float>()) positive.push_back(std::abs(v));
    positive_inputs.push_back(Tensor::Of<float>(input.shape(), positive));
  }
  const auto bound = EvaluateGraph(*Graph::Create(parts), positive_inputs);
  ASSERT_TRUE(bound.ok()) << bound.status();
  for (const Tensor& tensor : *bound) {
    magnitude = std::max(magnitude, Most(tensor.values<float>()));
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_LE(LargestDifference(actual[i], (*expected)[i]),
              1.1f * 4 / 512 * magnitude);
  }
}

struct ConvCase {
  // For GoogleTest.
  friend void PrintTo(const ConvCase& c, std::ostream* out) { *out << c.name; }

  std::string name;
  int64_t in = 16;
  int64_t out = 16;
  int64_t groups = 1;
  Shape size = {9, 10};
  Shape kernel = {3, 3};
  std::vector<int64_t> strides = {1, 1};
  std::vector<int64_t> dilations = {1, 1};
  std::vector<int64_t> pads = {1, 1, 1, 1};
};

const std::vector<ConvCase>& ConvCases() {
  static const auto* cases = new std::vector<ConvCase>{
      {"Plain"},
      {"Pointwise", 32, 24, 1, {7, 7}, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
      {"ThreeChannels", 3, 16, 1, {12, 12}},
      {"OneChannel", 1, 20, 1, {11, 8}, {5, 4}, {2, 2}, {1, 1}, {2, 1, 2, 2}},
      {"OddChannels", 13, 11, 1},
      {"Strided", 16, 32, 1, {11, 12}, {3, 3}, {2, 2}},
      {"Asymmetric", 16, 16, 1, {8, 9}, {3, 3}, {2, 2}, {1, 1}, {0, 0, 1, 1}},
      {"Dilated", 16, 16, 1, {9, 9}, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}},
      {"Grouped", 32, 32, 4},
      {"GroupsOfTwo", 32, 64, 16},
      {"GroupsOfSix", 48, 24, 8, {7, 8}, {3, 3}, {2, 2}},
      {"PointwiseGroups",
       30,
       30,
       5,
       {6, 6},
       {1, 1},
       {1, 1},
       {1, 1},
       {0, 0, 0, 0}},
      {"Depthwise", 32, 32, 32},
      {"DepthwiseStrided", 24, 24, 24, {9, 9}, {3, 3}, {2, 2}},
      {"Unpadded", 16, 8, 1, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
      {"Line", 8, 16, 1, {20}, {3}, {1}, {1}, {1, 1}}};
  return *cases;
}

// How the layer ends.
enum class Ending {
  kPlain,
  kRelu,
  kClip,
  kHardSwish,
  kHardSigmoid,
  // Added to by a value that dies there, and by one that is read again.
  kSum,
  kSumRelu,
  kSumOfLivingRelu,
  kReluSum,
  kChannelAdd,
};

std::vector<PostOp> PostOpsOf(Ending ending, int addend) {
  using Kind = PostOp::Kind;
  const PostOp relu{Kind::kRelu};
  const PostOp add{Kind::kAdd, 0, 0, addend};
  switch (ending) {
    case Ending::kPlain:
      return {};
    case Ending::kRelu:
      return {relu};
    case Ending::kClip:
      return {{Kind::kClip, 0, 1.5f}};
    case Ending::kHardSwish:
      return {{Kind::kHardSwish}};
    case Ending::kHardSigmoid:
      return {{Kind::kHardSigmoid, 1.f / 6, 0.5f}};
    case Ending::kSum:
    case Ending::kChannelAdd:
      return {add};
    case Ending::kSumRelu:
    case Ending::kSumOfLivingRelu:
      return {add, relu};
    case Ending::kReluSum:
      return {relu, add};
  }
  return {};
}

bool HasAddend(Ending ending) { return ending >= Ending::kSum; }

struct ConvGraph {
  Graph graph;
  ValueId output = kNoValue;
  ValueId addend = kNoValue;
};

// Relu or LeakyRelu -> Conv with its ending (-> a further reader of the
// addend).
ConvGraph MakeConvGraph(const ConvCase& c, Ending ending,
                        v1::Precision precision, int64_t batch, int seed) {
  GraphBuilder builder(seed);
  Shape in = {batch, c.in};
  Shape weights = {c.out, c.in / c.groups};
  Shape out = {batch, c.out};
  const size_t rank = c.size.size();
  for (size_t d = 0; d < rank; ++d) {
    in.push_back(c.size[d]);
    weights.push_back(c.kernel[d]);
    const int64_t reach = (c.kernel[d] - 1) * c.dilations[d] + 1;
    out.push_back(
        (c.size[d] + c.pads[d] + c.pads[d + rank] - reach) / c.strides[d] + 1);
  }
  const ValueId x = builder.Add({"Relu", {builder.Input(in)}});
  NodeSpec conv{
      "Conv",
      {x, builder.Weights(weights, 0.2f), builder.Weights({c.out}, 0.3f)},
      {{"strides", c.strides},
       {"dilations", c.dilations},
       {"pads", c.pads},
       {"group", c.groups}}};
  conv.precision = precision;
  conv.post_ops = PostOpsOf(ending, 3);
  ValueId addend = kNoValue;
  if (HasAddend(ending)) {
    Shape shape = out;
    if (ending == Ending::kChannelAdd) {
      shape.assign(rank + 1, 1);
      shape[0] = c.out;
    }
    addend = builder.Add({"LeakyRelu", {builder.Input(shape)}});
    conv.inputs.push_back(addend);
  }
  const ValueId y = builder.Add(conv);
  std::vector<ValueId> outputs = {builder.Add({"Relu", {y}})};
  if (ending == Ending::kSumOfLivingRelu) {
    outputs.push_back(builder.Add({"Sigmoid", {addend}}));
  }
  return {builder.Build(outputs), y, addend};
}

constexpr Ending kEndings[] = {Ending::kPlain,       Ending::kRelu,
                               Ending::kClip,        Ending::kHardSwish,
                               Ending::kHardSigmoid, Ending::kSum,
                               Ending::kSumRelu,     Ending::kSumOfLivingRelu,
                               Ending::kReluSum,     Ending::kChannelAdd};

class ConvLayers : public testing::TestWithParam<ConvCase> {};

TEST_P(ConvLayers, InFloat32AreThoseOfTheReference) {
  for (Ending ending : kEndings) {
    SCOPED_TRACE(static_cast<int>(ending));
    const ConvGraph conv = MakeConvGraph(GetParam(), ending, v1::F32, 2, 1);
    std::mt19937 random(2);
    ExpectSameInFloat(conv.graph, RandomInputs(conv.graph, random));
  }
}

TEST_P(ConvLayers, InBfloat16StayWithinItsMantissa) {
  for (Ending ending : kEndings) {
    SCOPED_TRACE(static_cast<int>(ending));
    const ConvGraph conv = MakeConvGraph(GetParam(), ending, v1::BF16, 2, 3);
    std::mt19937 random(4);
    ExpectSameInBfloat16(conv.graph, RandomInputs(conv.graph, random));
  }
}

TEST_P(ConvLayers, InInt8AreThoseOfTheGrids) {
  for (Ending ending : kEndings) {
    for (int variant = 0; variant < 8; ++variant) {
      SCOPED_TRACE(testing::Message() << "ending " << static_cast<int>(ending)
                                      << " variant " << variant);
      const ConvGraph conv =
          MakeConvGraph(GetParam(), ending, v1::INT8, 1 + variant % 2, variant);
      std::mt19937 random(variant);
      const auto inputs = RandomInputs(conv.graph, random);
      GridOptions options;
      options.is_signed = (variant & 1) != 0;
      options.has_zero_points = variant >= 6;
      options.also = [&](ValueId value) {
        return (value == conv.output && (variant & 2) != 0) ||
               (value == conv.addend && (variant & 4) != 0);
      };
      ExpectSameOnGrids(WithGrids(conv.graph, inputs, options), inputs);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ConvLayers, testing::ValuesIn(ConvCases()),
                         [](const auto& info) { return info.param.name; });

TEST(GroupedLayers, OfFewChannelsHaveKernelsThatCopyNoWindows) {
  for (int64_t channels : {2, 6, 10}) {
    GraphBuilder b(1);
    const ValueId x = b.Input({1, 16 * channels, 9, 9});
    const ValueId y =
        b.Add({"Conv",
               {x, b.Weights({16 * channels, channels, 3, 3}, 0.2f)},
               {{"group", int64_t{16}}}});
    const Graph graph = b.Build({y});
    ExpectQuick(graph, "Conv", b.random());
    EXPECT_THAT(Implementations(graph, "Conv"),
                testing::Each(testing::Not(testing::HasSubstr("gemm"))));
  }
}

// oneDNN has no pool for the blocks of 4 channels that such layers write.
TEST(GroupedLayers, OfFourChannelsArePooledQuickly) {
  for (const char* op : {"GlobalAveragePool", "MaxPool"}) {
    GraphBuilder b(2);
    const ValueId y =
        b.Add({"Conv",
               {b.Input({2, 32, 9, 9}), b.Weights({32, 4, 3, 3}, 0.2f)},
               {{"group", int64_t{8}}}});
    NodeSpec pool{op, {y}};
    if (op[0] == 'M') pool.attributes["kernel_shape"] = Attribute(Shape{2, 2});
    ExpectQuick(b.Build({b.Add(pool)}), op, b.random());
  }
}

// Gemm or MatMul with everything that can be asked of them.
Graph MakeLinearGraph(bool is_gemm, bool is_transposed, bool has_sum,
                      v1::Precision precision, int seed) {
  GraphBuilder builder(seed);
  const int64_t in = builder.Between(5, 70);
  const int64_t out = builder.Between(3, 40);
  const Shape lead = is_gemm ? Shape{3} : Shape{2, 5};
  Shape from = lead, to = lead;
  from.push_back(in);
  to.push_back(out);
  const ValueId x = builder.Add({"Relu", {builder.Input(from)}});
  NodeSpec node{is_gemm ? "Gemm" : "MatMul", {x}};
  node.inputs.push_back(
      builder.Weights(is_transposed ? Shape{out, in} : Shape{in, out}, 0.2f));
  if (is_gemm) {
    node.inputs.push_back(builder.Weights({out}, 0.3f));
    node.attributes = {
        {"transB", int64_t{is_transposed}}, {"alpha", 0.5f}, {"beta", 2.f}};
  }
  node.precision = precision;
  if (has_sum) {
    node.post_ops =
        PostOpsOf(Ending::kSumRelu, static_cast<int>(node.inputs.size()));
    node.inputs.push_back(builder.Add({"LeakyRelu", {builder.Input(to)}}));
  }
  return builder.Build({builder.Add({"Relu", {builder.Add(node)}})});
}

TEST(LinearLayers, AreThoseOfTheReferenceInEveryPrecision) {
  for (int round = 0; round < 24; ++round) {
    const bool is_gemm = round % 2 == 0;
    const bool is_transposed = is_gemm && round % 4 == 0;
    const bool has_sum = round % 3 == 0;
    SCOPED_TRACE(round);
    const auto graph = [&](v1::Precision precision) {
      return MakeLinearGraph(is_gemm, is_transposed, has_sum, precision, round);
    };
    std::mt19937 random(round);
    const auto inputs = RandomInputs(graph(v1::F32), random);
    ExpectSameInFloat(graph(v1::F32), inputs);
    ExpectSameInBfloat16(graph(v1::BF16), inputs);
    GridOptions options;
    options.is_signed = round % 5 == 0;
    options.has_zero_points = round % 7 == 0;
    ExpectSameOnGrids(WithGrids(graph(v1::INT8), inputs, options), inputs);
  }
}

}  // namespace
}  // namespace lathe
