// Cases computed by hand; ONNX's own cases are in node_cases_test.cc.
#include "compressor/reference_ops.h"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

using Attributes = std::map<std::string, Attribute>;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

Tensor F(Shape shape, const Floats& values) {
  return Tensor::Of<float>(std::move(shape), values);
}
Tensor I(Shape shape, const Ints& values) {
  return Tensor::Of<int64_t>(std::move(shape), values);
}

// `count` numbers 1, 2, 3, ...
Tensor Counting(Shape shape) {
  Floats values(ElementCount(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = i + 1;
  return F(std::move(shape), values);
}

Node MakeNode(const std::string& op, size_t inputs, Attributes attributes,
              size_t outputs = 1) {
  Node node;
  node.name = "n";
  node.op_type = op;
  node.attributes = std::move(attributes);
  for (size_t i = 0; i < inputs; ++i) node.inputs.push_back(i);
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(inputs + i);
  return node;
}

absl::StatusOr<std::vector<Tensor>> Try(const std::string& op,
                                        const std::vector<Tensor>& inputs,
                                        Attributes attributes = {},
                                        int64_t opset = 17) {
  return EvaluateNode(MakeNode(op, inputs.size(), std::move(attributes)), opset,
                      inputs);
}

Tensor Compute(const std::string& op, const std::vector<Tensor>& inputs,
               Attributes attributes = {}, int64_t opset = 17) {
  const auto outputs = Try(op, inputs, std::move(attributes), opset);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? (*outputs)[0] : Tensor();
}

void ExpectIs(const Tensor& tensor, const Shape& shape, const Floats& values) {
  EXPECT_EQ(tensor.shape(), shape);
  ASSERT_EQ(tensor.type(), DataType::kFloat32);
  EXPECT_THAT(tensor.values<float>(), Pointwise(FloatNear(1e-5), values));
}

TEST(Conv, AddsUpWindowsWithPaddingAndStride) {
  // 3 x 3 ones over 1..9, padded by 1, every second window.
  const Tensor y = Compute(
      "Conv",
      {Counting({1, 1, 3, 3}), F({1, 1, 3, 3}, Floats(9, 1)), F({1}, {0.5f})},
      {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
  ExpectIs(y, {1, 1, 2, 2}, {12.5f, 16.5f, 24.5f, 28.5f});
}

TEST(Conv, KeepsGroupsApart) {
  const Tensor y = Compute(
      "Conv", {F({1, 2, 1, 2}, {1, 2, 3, 4}), F({2, 1, 1, 1}, {10, 100})},
      {{"group", int64_t{2}}});
  ExpectIs(y, {1, 2, 1, 2}, {10, 20, 300, 400});
}

TEST(Conv, HasOneDimensionDilationAndUnevenPadding) {
  const Tensor y =
      Compute("Conv", {F({1, 1, 4}, {1, 2, 3, 4}), F({1, 1, 2}, {1, 10})},
              {{"dilations", Ints{2}}, {"pads", Ints{2, 1}}});
  ExpectIs(y, {1, 1, 5}, {10, 20, 31, 42, 3});
}

TEST(Conv, PadsForTheSameSizeAtTheEndOrTheStart) {
  const std::vector<Tensor> inputs = {F({1, 1, 1, 3}, {1, 2, 3}),
                                      F({1, 1, 1, 2}, {1, 10})};
  ExpectIs(Compute("Conv", inputs, {{"auto_pad", std::string("SAME_UPPER")}}),
           {1, 1, 1, 3}, {21, 32, 3});
  ExpectIs(Compute("Conv", inputs, {{"auto_pad", std::string("SAME_LOWER")}}),
           {1, 1, 1, 3}, {10, 21, 32});
}

TEST(Pool, CountsPaddingOnlyWhenAsked) {
  const std::vector<Tensor> inputs = {F({1, 1, 1, 2}, {2, 4})};
  Attributes attributes = {{"kernel_shape", Ints{1, 2}},
                           {"pads", Ints{0, 1, 0, 1}}};
  ExpectIs(Compute("AveragePool", inputs, attributes), {1, 1, 1, 3}, {2, 3, 4});
  attributes["count_include_pad"] = int64_t{1};
  ExpectIs(Compute("AveragePool", inputs, attributes), {1, 1, 1, 3}, {1, 3, 2});
}

TEST(Pool, RoundsTheSizeUpInCeilMode) {
  const std::vector<Tensor> inputs = {F({1, 1, 1, 4}, {1, 5, 2, 3})};
  Attributes attributes = {{"kernel_shape", Ints{1, 3}},
                           {"strides", Ints{1, 2}}};
  ExpectIs(Compute("MaxPool", inputs, attributes), {1, 1, 1, 1}, {5});
  attributes["ceil_mode"] = int64_t{1};
  ExpectIs(Compute("MaxPool", inputs, attributes), {1, 1, 1, 2}, {5, 3});
}

TEST(Pool, TakesTheLargestOfNegativeNumbersAmongPadding) {
  ExpectIs(Compute("MaxPool", {F({1, 1, 1, 2}, {-3, -5})},
                   {{"kernel_shape", Ints{1, 2}}, {"pads", Ints{0, 1, 0, 0}}}),
           {1, 1, 1, 2}, {-3, -3});
}

TEST(BatchNormalization, ScalesAndShiftsEachChannel) {
  const Tensor y = Compute("BatchNormalization",
                           {F({1, 2, 1, 1}, {3, 5}), F({2}, {2, 1}),
                            F({2}, {0.5f, 0}), F({2}, {1, 5}), F({2}, {4, 1})},
                           {{"epsilon", 0.0f}});
  ExpectIs(y, {1, 2, 1, 1}, {2.5f, 0});
}

TEST(Softmax, FlattensBeforeOpset13) {
  const Tensor x = F({1, 2, 2}, {0, 0, 0, std::log(5.0f)});
  ExpectIs(Compute("Softmax", {x}, {}, /*opset=*/11), {1, 2, 2},
           {0.125f, 0.125f, 0.125f, 0.625f});
  ExpectIs(Compute("Softmax", {x}, {}, /*opset=*/13), {1, 2, 2},
           {0.5f, 0.5f, 1.0f / 6, 5.0f / 6});
}

TEST(Gemm, ScalesTransposesAndBroadcastsTheBias) {
  const Tensor y = Compute(
      "Gemm", {F({2, 1}, {1, 2}), F({3, 2}, {1, 2, 3, 4, 5, 6}), F({1}, {10})},
      {{"transA", int64_t{1}},
       {"transB", int64_t{1}},
       {"alpha", 2.0f},
       {"beta", 0.5f}});
  ExpectIs(y, {1, 3}, {15, 27, 39});
}

TEST(MatMul, BroadcastsBatchesAndTakesVectors) {
  ExpectIs(
      Compute("MatMul", {F({2, 1, 2}, {1, 2, 3, 4}), F({2, 1}, {10, 100})}),
      {2, 1, 1}, {210, 430});
  ExpectIs(Compute("MatMul", {F({2}, {1, 2}), F({2}, {3, 4})}), {}, {11});
}

TEST(Arithmetic, BroadcastsAsNumPy) {
  ExpectIs(Compute("Add", {F({2, 1}, {1, 2}), F({3}, {10, 20, 30})}), {2, 3},
           {11, 21, 31, 12, 22, 32});
}

TEST(Arithmetic, IsDefinedForEveryInteger) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  const Tensor least = I({1}, {kLeast});
  EXPECT_THAT(Compute("Div", {least, I({1}, {-1})}).values<int64_t>(),
              ElementsAre(kLeast));
  EXPECT_THAT(Compute("Mod", {least, I({1}, {-1})}).values<int64_t>(),
              ElementsAre(0));
  EXPECT_THAT(Compute("Abs", {least}).values<int64_t>(), ElementsAre(kLeast));
  EXPECT_THAT(Compute("Add", {least, least}).values<int64_t>(), ElementsAre(0));
  EXPECT_THAT(
      Compute("Mod", {I({2}, {-7, 7}), I({2}, {3, -3})}).values<int64_t>(),
      ElementsAre(2, -2));
  EXPECT_TRUE(
      absl::IsInvalidArgument(Try("Div", {least, I({1}, {0})}).status()));
}

TEST(Cast, SaturatesWhatDoesNotFit) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = Compute("Cast", {F({4}, {1e30f, -1e30f, kNan, -2.7f})},
                           {{"to", int64_t{6}}});  // int32.
  EXPECT_THAT(y.values<int32_t>(),
              ElementsAre(std::numeric_limits<int32_t>::max(),
                          std::numeric_limits<int32_t>::min(), 0, -2));
}

TEST(Clip, HasAttributesOrInputs) {
  const Tensor x = F({3}, {-2, 0.5f, 9});
  ExpectIs(Compute("Clip", {x}, {{"min", 0.0f}, {"max", 6.0f}}, 10), {3},
           {0, 0.5f, 6});
  ExpectIs(Compute("Clip", {x, F({}, {-1}), F({}, {1})}), {3}, {-1, 0.5f, 1});
}

TEST(Slice, GoesBackwardsAndBeyondTheEnds) {
  const Tensor x = F({5}, {0, 1, 2, 3, 4});
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  constexpr int64_t kNear = std::numeric_limits<int64_t>::min();
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return Compute("Slice", {x, I({1}, {start}), I({1}, {end}), I({1}, {0}),
                             I({1}, {step})});
  };
  ExpectIs(slice(1, kFar, 2), {2}, {1, 3});
  ExpectIs(slice(-1, kNear, -2), {3}, {4, 2, 0});
  ExpectIs(slice(3, 1, 1), {0}, {});
  ExpectIs(slice(0, kFar, kFar), {1}, {0});
  ExpectIs(slice(-1, kNear, kNear), {1}, {4});
  ExpectIs(Compute("Slice", {x}, {{"starts", Ints{1}}, {"ends", Ints{-1}}}, 9),
           {3}, {1, 2, 3});
}

TEST(Pad, ReflectsRepeatsAndCrops) {
  const Tensor x = F({3}, {1, 2, 3});
  const Tensor two = I({2}, {2, 1});
  ExpectIs(Compute("Pad", {x, two}), {6}, {0, 0, 1, 2, 3, 0});
  ExpectIs(Compute("Pad", {x, two}, {{"mode", std::string("reflect")}}), {6},
           {3, 2, 1, 2, 3, 2});
  ExpectIs(Compute("Pad", {x, two}, {{"mode", std::string("edge")}}), {6},
           {1, 1, 1, 2, 3, 3});
  ExpectIs(Compute("Pad", {x, I({2}, {-1, 0})}), {2}, {2, 3});
  ExpectIs(Compute("Pad", {x}, {{"pads", Ints{1, 0}}, {"value", 9.0f}}, 2), {4},
           {9, 1, 2, 3});
}

TEST(Movement, MovesElements) {
  const Tensor x = Counting({2, 3});
  ExpectIs(Compute("Transpose", {x}), {3, 2}, {1, 4, 2, 5, 3, 6});
  ExpectIs(Compute("Tile", {F({1, 2}, {1, 2}), I({2}, {2, 2})}), {2, 4},
           {1, 2, 1, 2, 1, 2, 1, 2});
  ExpectIs(Compute("Concat", {x, F({2, 1}, {7, 8})}, {{"axis", int64_t{-1}}}),
           {2, 4}, {1, 2, 3, 7, 4, 5, 6, 8});
  ExpectIs(Compute("Gather", {x, I({2}, {-1, 0})}, {{"axis", int64_t{1}}}),
           {2, 2}, {3, 1, 6, 4});
  ExpectIs(Compute("Reshape", {x, I({3}, {0, -1, 1})}), {2, 3, 1},
           {1, 2, 3, 4, 5, 6});
}

TEST(Split, MakesALastPieceThatIsSmaller) {
  const Node node = MakeNode("Split", 1, {{"num_outputs", int64_t{2}}}, 2);
  const auto pieces = EvaluateNode(node, 18, {Counting({3})});
  ASSERT_TRUE(pieces.ok()) << pieces.status();
  ExpectIs((*pieces)[0], {2}, {1, 2});
  ExpectIs((*pieces)[1], {1}, {3});
}

TEST(Reduce, TakesAxesFromAttributeOrInput) {
  const Tensor x = Counting({2, 3});
  ExpectIs(Compute("ReduceMean", {x}, {{"axes", Ints{-1}}}), {2, 1}, {2, 5});
  ExpectIs(Compute("ReduceSum", {x, I({1}, {0})}, {{"keepdims", int64_t{0}}}),
           {3}, {5, 7, 9});
  ExpectIs(Compute("ReduceMax", {x}), {1, 1}, {6});
  EXPECT_THAT(Compute("ArgMax", {x}, {{"axis", int64_t{1}}}).values<int64_t>(),
              ElementsAre(2, 2));
}

TEST(Resize, CopiesTheNearestAndInterpolates) {
  const Tensor x = F({1, 1, 1, 2}, {0, 4});
  const Tensor none = F({0}, {});
  const Tensor scales = F({4}, {1, 1, 1, 2});
  ExpectIs(
      Compute("Resize", {x, none, scales},
              {{"mode", std::string("nearest")},
               {"coordinate_transformation_mode", std::string("asymmetric")},
               {"nearest_mode", std::string("floor")}}),
      {1, 1, 1, 4}, {0, 0, 4, 4});
  ExpectIs(
      Compute("Resize", {x, none, scales}, {{"mode", std::string("linear")}}),
      {1, 1, 1, 4}, {0, 1, 3, 4});
}

TEST(Lstm, FollowsItsEquationsOverTwoSteps) {
  // One unit; every gate sees x alone with weight 1.
  const Tensor w = F({1, 4, 1}, {1, 1, 1, 1});
  const Tensor r = F({1, 4, 1}, {0, 0, 0, 0});
  const Node node = MakeNode("LSTM", 3, {{"hidden_size", int64_t{1}}}, 3);
  const auto y = EvaluateNode(node, 14, {F({2, 1, 1}, {1, -1}), w, r});
  ASSERT_TRUE(y.ok()) << y.status();
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double c1 = sigmoid(1) * std::tanh(1.0);
  const double c2 = sigmoid(-1) * c1 + sigmoid(-1) * std::tanh(-1.0);
  const float h1 = static_cast<float>(sigmoid(1) * std::tanh(c1));
  const float h2 = static_cast<float>(sigmoid(-1) * std::tanh(c2));
  ExpectIs((*y)[0], {2, 1, 1, 1}, {h1, h2});
  ExpectIs((*y)[1], {1, 1, 1}, {h2});
  ExpectIs((*y)[2], {1, 1, 1}, {static_cast<float>(c2)});
}

TEST(QuantizeLinear, RoundsHalvesToEvenAndSaturates) {
  const Tensor zero_point = Tensor::Of<uint8_t>({}, std::vector<uint8_t>{10});
  const Tensor y = Compute("QuantizeLinear", {F({5}, {1, 3, -1, 1000, -1000}),
                                              F({}, {2}), zero_point});
  EXPECT_THAT(y.values<uint8_t>(), ElementsAre(10, 12, 10, 255, 0));
  ExpectIs(Compute("DequantizeLinear", {y, F({}, {2}), zero_point}), {5},
           {0, 4, 0, 490, -20});
}

TEST(ApplyGrid, AgreesWithQuantizeAndDequantize) {
  const ActivationGrid grid{/*is_signed=*/true, /*scale=*/0.5f,
                            /*zero_point=*/-3};
  const Tensor zero_point = Tensor::Of<int8_t>({}, std::vector<int8_t>{-3});
  for (const float x : {0.0f, 0.25f, 0.75f, -0.25f, 1e9f, -1e9f, 61.3f}) {
    const Tensor levels =
        Compute("QuantizeLinear", {F({}, {x}), F({}, {0.5f}), zero_point});
    const Tensor rounded =
        Compute("DequantizeLinear", {levels, F({}, {0.5f}), zero_point});
    EXPECT_EQ(ApplyGrid(grid, x), rounded.values<float>()[0]) << x;
  }
}

TEST(TopK, PutsTheLargestFirstAndEqualOnesInOrder) {
  Node node = MakeNode("TopK", 2, {}, 2);
  const Tensor x = F({2, 4}, {1, 3, 3, 2, -1, -4, NAN, 0});
  const auto top = EvaluateNode(node, 17, {x, I({1}, {2})});
  ASSERT_TRUE(top.ok()) << top.status();
  ExpectIs(F({1}, {(*top)[0].values<float>()[0]}), {1}, {3});
  EXPECT_THAT((*top)[1].values<int64_t>(), ElementsAre(1, 2, 2, 3));
  node.attributes["largest"] = int64_t{0};
  const auto least = EvaluateNode(node, 17, {x, I({1}, {2})});
  ASSERT_TRUE(least.ok()) << least.status();
  EXPECT_THAT((*least)[1].values<int64_t>(), ElementsAre(0, 3, 1, 0));
  for (const int64_t k : {-1, 5}) {
    EXPECT_FALSE(EvaluateNode(node, 17, {x, I({1}, {k})}).ok());
  }
}

TEST(Scatter, WritesWhereIndicesSayAndRefusesOthers) {
  const Tensor x = Counting({2, 3});
  ExpectIs(
      Compute("ScatterElements", {x, I({1, 2}, {-1, 0}), F({1, 2}, {7, 8})},
              {{"axis", int64_t{1}}, {"reduction", std::string("add")}}),
      {2, 3}, {9, 2, 10, 4, 5, 6});
  ExpectIs(Compute("ScatterND", {x, I({1, 1}, {-1}), F({1, 3}, {7, 8, 9})}),
           {2, 3}, {1, 2, 3, 7, 8, 9});
  ExpectIs(Compute("GatherND", {x, I({2, 2}, {0, -1, 1, 0})}), {2}, {3, 4});
  for (const int64_t index : {int64_t{-3}, int64_t{2}, INT64_MIN, INT64_MAX}) {
    EXPECT_FALSE(Try("GatherND", {x, I({1, 1}, {index})}).ok());
    EXPECT_FALSE(
        Try("ScatterND", {x, I({1, 1}, {index}), F({1, 3}, {7, 8, 9})}).ok());
  }
  EXPECT_FALSE(Try("ScatterND", {x, I({1, 3}, {0, 0, 0}), F({1}, {7})}).ok());
}

TEST(OneHot, MarksAnIndexAndNoneOutside) {
  ExpectIs(Compute("OneHot", {I({3}, {1, -1, 5}), I({}, {2}), F({2}, {0, 4})}),
           {3, 2}, {0, 4, 0, 4, 0, 0});
  EXPECT_FALSE(
      Try("OneHot", {I({1}, {0}), I({}, {int64_t{1} << 40}), F({2}, {0, 4})})
          .ok());
}

TEST(ReverseSequence, TurnsTheFirstStepsOfEachSample) {
  ExpectIs(Compute("ReverseSequence", {Counting({3, 2}), I({2}, {2, 3})}),
           {3, 2}, {3, 6, 1, 4, 5, 2});
  EXPECT_FALSE(Try("ReverseSequence", {Counting({3, 2}), I({2}, {2, 4})}).ok());
}

TEST(SupportedOperators, AreListedInTheDocumentation) {
  const auto page =
      ReadFile(std::string(LATHE_SOURCE_DIR) + "/docs/operators.md");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const std::string& name : SupportedOperators()) {
    EXPECT_TRUE(IsSupportedOperator("", name));
    EXPECT_THAT(*page, testing::HasSubstr("`" + name + "`"));
  }
  EXPECT_FALSE(IsSupportedOperator("com.example", "Conv"));
}

TEST(EvaluateNode, AppliesPostOpsInOrder) {
  Node node = MakeNode("Conv", 2, {});
  node.inputs = {0, 1, kNoValue, 2};
  PostOp add{PostOp::Kind::kAdd};
  add.input = 3;
  node.post_ops = {{PostOp::Kind::kRelu}, add, {PostOp::Kind::kClip, -1, 4}};
  const auto y =
      EvaluateNode(node, 17,
                   {F({1, 1, 1, 3}, {-5, 1, 3}), F({1, 1, 1, 1}, {2}), Tensor(),
                    F({1, 1, 1, 3}, {-7, 1, 1})});
  ASSERT_TRUE(y.ok()) << y.status();
  ExpectIs((*y)[0], {1, 1, 1, 3}, {-1, 3, 4});
}

TEST(EvaluateNode, TellsWhichNodeCannotRun) {
  struct Case {
    const char* op;
    std::vector<Tensor> inputs;
    Attributes attributes;
    absl::StatusCode code;
  };
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr absl::StatusCode kNot = absl::StatusCode::kUnimplemented;
  const Tensor image = Counting({1, 2, 4, 4});
  const Tensor filter = Counting({2, 2, 3, 3});
  const Case cases[] = {
      {"Foo", {image}, {}, kNot},
      {"Relu", {}, {}, kInvalid},
      {"Relu", {image, image}, {}, kInvalid},
      {"Conv", {image}, {}, kInvalid},
      {"Conv", {image, Counting({2, 3, 3, 3})}, {}, kInvalid},
      {"Conv", {image, filter}, {{"group", int64_t{0}}}, kInvalid},
      {"Conv", {image, filter}, {{"group", int64_t{3}}}, kInvalid},
      {"Conv", {image, filter}, {{"strides", Ints{0, 1}}}, kInvalid},
      {"Conv", {image, filter}, {{"strides", Ints{1}}}, kInvalid},
      {"Conv", {image, filter}, {{"pads", Ints{-1, 0, 0, 0}}}, kInvalid},
      {"Conv", {image, filter}, {{"dilations", Ints{2, 2}}}, kInvalid},
      {"Conv", {image, filter, Counting({3})}, {}, kInvalid},
      {"Conv", {image, filter}, {{"auto_pad", std::string("X")}}, kInvalid},
      {"Conv", {I({1, 2, 4, 4}, Ints(32)), filter}, {}, kNot},
      {"MaxPool", {image}, {}, kInvalid},
      {"MaxPool", {image}, {{"kernel_shape", Ints{5, 5}}}, kInvalid},
      {"Add", {Counting({2}), Counting({3})}, {}, kInvalid},
      {"Add", {Counting({2}), I({2}, {1, 2})}, {}, kInvalid},
      {"MatMul", {Counting({2, 3}), Counting({2, 3})}, {}, kInvalid},
      {"MatMul", {Tensor(), Counting({2})}, {}, kInvalid},
      {"Gemm", {Counting({2}), Counting({2, 3})}, {}, kInvalid},
      {"Concat", {image, filter}, {{"axis", int64_t{0}}}, kInvalid},
      {"Concat", {image, image}, {}, kInvalid},
      {"Reshape", {image, I({2}, {-1, -1})}, {}, kInvalid},
      {"Reshape", {image, I({1}, {31})}, {}, kInvalid},
      {"Reshape", {image, I({5}, {-1, 1, 1, 1, 0})}, {}, kInvalid},
      {"Transpose", {image}, {{"perm", Ints{0, 1, 2, 2}}}, kInvalid},
      {"Transpose", {image}, {{"perm", Ints{0, 1, 2, -1}}}, kInvalid},
      {"Gather", {Counting({3}), I({1}, {3})}, {}, kInvalid},
      {"Slice", {Counting({3})}, {}, kInvalid},
      {"Slice",
       {Counting({3}), I({1}, {0}), I({1}, {1}), I({1}, {0}), I({1}, {0})},
       {},
       kInvalid},
      {"Pad", {Counting({3}), I({1}, {1})}, {}, kInvalid},
      {"Pad", {Counting({3}), I({2}, {-9, 0})}, {}, kInvalid},
      {"Expand", {Counting({3}), I({1}, {int64_t{1} << 40})}, {}, kInvalid},
      {"ConstantOfShape", {I({1}, {-1})}, {}, kInvalid},
      {"ConstantOfShape", {I({2}, {1 << 30, 1 << 30})}, {}, kInvalid},
      {"ConstantOfShape", {I({3}, {0, 1 << 30, 1 << 30})}, {}, kInvalid},
      {"ConstantOfShape", {I({2}, {0, -5})}, {}, kInvalid},
      {"GatherND", {Counting({3}), I({4, 0}, {})}, {}, kInvalid},
      {"Range", {I({}, {0}), I({}, {5}), I({}, {0})}, {}, kInvalid},
      {"Squeeze", {image, I({1}, {1})}, {}, kInvalid},
      {"Unsqueeze", {image, I({2}, {0, 0})}, {}, kInvalid},
      {"Softmax", {image}, {{"axis", int64_t{4}}}, kInvalid},
      {"Tile", {Counting({3}), I({1}, {-1})}, {}, kInvalid},
  };
  for (const Case& c : cases) {
    const auto outputs = Try(c.op, c.inputs, c.attributes);
    EXPECT_EQ(outputs.status().code(), c.code) << c.op << outputs.status();
    EXPECT_THAT(std::string(outputs.status().message()),
                testing::HasSubstr("\"n\""))
        << c.op;
  }
}

}  // namespace
}  // namespace lathe
