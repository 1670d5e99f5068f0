#include "compressor/rebuild.h"

#include <ostream>

#include "compressor/graph_edit.h"
#include "compressor/reference_ops.h"
#include "compressor/ridge.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// What the node computes with these weights.
Tensor RunLayer(const Node& node, const LayerWeights& layer,
                const Tensor& input) {
  std::vector<Tensor> inputs = {input, layer.weights};
  Node plain = node;
  plain.inputs = {0, 1};
  if (layer.bias) {
    inputs.push_back(*layer.bias);
    plain.inputs.push_back(2);
  }
  absl::StatusOr<std::vector<Tensor>> out = EvaluateNode(plain, 17, inputs);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.ok() ? (*out)[0] : Tensor();
}

LayerWeights Rebuild(const Node& node, const LayerWeights& kept,
                     const Tensor& input, const Tensor& target,
                     double ridge = 1e-3) {
  RebuildOptions options;
  options.ridge = ridge;
  absl::StatusOr<LayerWeights> rebuilt =
      RebuildLayer(node, kept, input, target, options);
  EXPECT_TRUE(rebuilt.ok()) << rebuilt.status();
  return rebuilt.ok() ? *rebuilt : LayerWeights{};
}

struct LayerCase {
  const char* name;
  const char* op_type;
  Shape input;
  Shape weights;
  bool has_bias;
  std::map<std::string, Attribute> attributes;
};
void PrintTo(const LayerCase& c, std::ostream* out) { *out << c.name; }

class RebuildLayers : public ::testing::TestWithParam<LayerCase> {};

Node NodeOf(const LayerCase& layer) {
  Node node;
  node.name = "layer";
  node.op_type = layer.op_type;
  node.attributes = layer.attributes;
  node.outputs = {3};
  return node;
}

int64_t Outs(const LayerCase& layer) {
  const bool is_out_first = layer.op_type == std::string("Conv") ||
                            layer.attributes.count("transB") > 0;
  return layer.weights[is_out_first ? 0 : 1];
}

// A layer of the right form can give the target exactly, and the regression
// has to find it; this checks the order of patches, weights and outputs.
TEST_P(RebuildLayers, FindsTheWeightsThatMadeTheTarget) {
  const LayerCase& layer = GetParam();
  TestRandom random(7);
  const Node node = NodeOf(layer);
  const Tensor input = random.NormalTensor(layer.input, 1);
  LayerWeights truth;
  truth.weights = random.NormalTensor(layer.weights, 0.5f);
  if (layer.op_type != std::string("MatMul")) {
    truth.bias = random.NormalTensor({Outs(layer)}, 1);
  }
  const Tensor target = RunLayer(node, truth, input);
  ASSERT_FALSE(HasFailure());
  LayerWeights kept;
  kept.weights = random.NormalTensor(layer.weights, 0.5f);
  if (layer.has_bias) kept.bias = random.NormalTensor({Outs(layer)}, 1);
  const LayerWeights rebuilt = Rebuild(node, kept, input, target, 1e-7);
  ExpectNear(rebuilt.weights, truth.weights, 1e-3);
  ASSERT_EQ(rebuilt.bias.has_value(), truth.bias.has_value());
  if (truth.bias) ExpectNear(*rebuilt.bias, *truth.bias, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RebuildLayers,
    ::testing::Values(
        LayerCase{"Conv",
                  "Conv",
                  {20, 4, 6, 7},
                  {5, 4, 3, 3},
                  true,
                  {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}},
        LayerCase{"StridedDilatedConv",
                  "Conv",
                  {20, 3, 9, 8},
                  {4, 3, 2, 3},
                  false,
                  {{"pads", std::vector<int64_t>{0, 1, 1, 0}},
                   {"strides", std::vector<int64_t>{2, 1}},
                   {"dilations", std::vector<int64_t>{1, 2}}}},
        LayerCase{"AutoPaddedConv",
                  "Conv",
                  {20, 3, 7, 7},
                  {4, 3, 3, 3},
                  true,
                  {{"auto_pad", std::string("SAME_UPPER")},
                   {"strides", std::vector<int64_t>{2, 2}}}},
        LayerCase{"Conv1d", "Conv", {30, 3, 9}, {4, 3, 3}, true, {}},
        LayerCase{"Depthwise",
                  "Conv",
                  {30, 4, 5, 5},
                  {4, 1, 3, 3},
                  true,
                  {{"group", int64_t{4}}}},
        LayerCase{"DepthwiseOfTwo",
                  "Conv",
                  {30, 4, 5, 5},
                  {8, 1, 3, 3},
                  true,
                  {{"group", int64_t{4}}}},
        LayerCase{"Gemm", "Gemm", {100, 6}, {6, 5}, true, {}},
        LayerCase{"TransposedGemm",
                  "Gemm",
                  {100, 6},
                  {5, 6},
                  false,
                  {{"transB", int64_t{1}}}},
        LayerCase{"ScaledGemm",
                  "Gemm",
                  {100, 6},
                  {6, 5},
                  true,
                  {{"alpha", 0.5f}, {"beta", 2.0f}}},
        LayerCase{
            "MatMulOfSequences", "MatMul", {20, 8, 6}, {6, 5}, false, {}}),
    [](const ::testing::TestParamInfo<LayerCase>& info) {
      return info.param.name;
    });

TEST(Rebuild, ARedundantChannelIsReplacedByItsTwin) {
  TestRandom random(8);
  Node node = NodeOf({"", "Conv", {}, {}, true, {}});
  // Channel 3 is channel 1 again.
  const Tensor three = random.NormalTensor({40, 3, 6, 6}, 1);
  const Tensor input = TakeAlongAxis(three, 1, {0, 1, 2, 1});
  LayerWeights original;
  original.weights = random.NormalTensor({5, 4, 3, 3}, 0.3f);
  original.bias = random.NormalTensor({5}, 0.3f);
  const Tensor target = RunLayer(node, original, input);
  LayerWeights kept = original;
  kept.weights = TakeAlongAxis(original.weights, 1, {0, 1, 2});
  const double before = RootMeanSquare(RunLayer(node, kept, three), target);
  const Tensor rebuilt =
      RunLayer(node, Rebuild(node, kept, three, target), three);
  EXPECT_LT(RootMeanSquare(rebuilt, target), 0.01 * before);
}

TEST(Rebuild, AnswersEqualArgumentsWithEqualBits) {
  TestRandom random(9);
  const Node node = NodeOf({"", "Conv", {}, {}, true, {}});
  const Tensor input = random.NormalTensor({8, 3, 16, 16}, 1);
  LayerWeights kept;
  kept.weights = random.NormalTensor({5, 3, 3, 3}, 0.3f);
  const Tensor target = random.NormalTensor({8, 5, 14, 14}, 1);
  EXPECT_EQ(Rebuild(node, kept, input, target).weights.bytes(),
            Rebuild(node, kept, input, target).weights.bytes());
}

TEST(Rebuild, DeadInputsKeepTheWeightsAndFitTheBias) {
  const Node node = NodeOf({"", "Gemm", {}, {}, true, {}});
  LayerWeights kept;
  kept.weights = Tensor::Of<float>({2, 1}, std::vector<float>{3, 4});
  const Tensor input = Tensor::Of<float>({3, 2}, std::vector<float>(6, 0.0f));
  const Tensor target = Tensor::Of<float>({3, 1}, std::vector<float>{1, 2, 3});
  const LayerWeights rebuilt = Rebuild(node, kept, input, target);
  EXPECT_EQ(rebuilt.weights.bytes(), kept.weights.bytes());
  EXPECT_FLOAT_EQ(rebuilt.bias->values<float>()[0], 2);
}

TEST(Ridge, PrimalAndDualAgree) {
  TestRandom random(10);
  const auto matrix = [&random](int rows, int columns) {
    Observations m(rows, columns);
    for (int i = 0; i < rows * columns; ++i) m.data()[i] = random.Normal(1);
    return m;
  };
  // 12 rows, 20 inputs: dual. With 8 inputs of zeros dropped the same rows
  // and 12 inputs go the primal way.
  Observations wide = matrix(12, 20);
  wide.rightCols(8).setZero();
  const Observations narrow = wide.leftCols(12);
  const Observations y = matrix(12, 3);
  // lambda is a share of the mean diagonal, which the zeros thin out.
  const RidgeSolution dual = SolveRidge(wide, y, 0.5 * 20, true);
  const RidgeSolution primal = SolveRidge(narrow, y, 0.5 * 12, true);
  EXPECT_LT((dual.weights.topRows(12) - primal.weights).norm(),
            1e-5 * primal.weights.norm());
  EXPECT_LT(dual.weights.bottomRows(8).norm(), 1e-12);
  EXPECT_LT((dual.intercept - primal.intercept).norm(), 1e-5);
}

}  // namespace
}  // namespace lathe
