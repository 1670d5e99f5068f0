// Whole graphs: layouts, shared and reused memory, mixed precisions, and what
// an executor says about itself.
#include "evaluator/executor.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "compressor/reference_ops.h"
#include "evaluator/compile.h"
#include "evaluator/denormals.h"
#include "evaluator/node_runner.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using Ints = std::vector<int64_t>;
using testing::HasSubstr;

TEST(Executor, AClassifierBehindAPoolNeedsNoCopyToFlatten) {
  for (bool is_global : {true, false}) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          ValueId x = AddConv(b, b.Input({3, 4, 5, 5}), 4, 16, precision);
          if (is_global) x = b.Add({"GlobalAveragePool", {x}});
          const ValueId flat = b.Add({"Flatten", {x}});
          const int64_t in = is_global ? 16 : 400;
          NodeSpec gemm{"Gemm",
                        {flat, b.Weights({in, 10}, 0.1f), b.Weights({10}, 1)}};
          gemm.precision = precision;
          return b.Build({b.Add({"Softmax", {b.Add(gemm)}})});
        },
        is_global ? 1 : 2);
  }
}

TEST(Executor, ArithmeticBroadcastsAsOnnxDoes) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = AddConv(b, b.Input({2, 4, 5, 6}), 4, 8, precision);
          const ValueId y = AddConv(b, b.Input({2, 4, 5, 6}), 4, 8, precision);
          NodeSpec both{op, {x, b.Weights({8, 1, 1}, 1)}};
          const ValueId scaled = b.Add(both);
          const ValueId number = b.Weights({1}, 3);
          // Nothing is divided by the zeros that Relu leaves.
          NodeSpec third{op, {number, scaled}};
          if (op == std::string("Div")) third.inputs = {scaled, number};
          NodeSpec sum{"Add", {b.Add(third), y}, {}, {ReluPostOp()}};
          return b.Build({AddConv(b, b.Add(sum), 8, 8, precision)});
        },
        static_cast<int>(op[0]));
  }
}

TEST(Executor, ActivationsOfTheirOwnAreThoseOfTheReference) {
  const std::vector<NodeSpec> specs = {
      {"Relu"},
      {"Sigmoid"},
      {"Tanh"},
      {"HardSwish"},
      {"Erf"},
      {"Abs"},
      {"Neg"},
      {"Exp"},
      {"LeakyRelu", {}, {{"alpha", 0.2f}}},
      {"HardSigmoid", {}, {{"alpha", 0.3f}, {"beta", 0.4f}}},
      {"Elu", {}, {{"alpha", 0.7f}}},
      {"Softmax"},
      {"LogSoftmax"}};
  for (const NodeSpec& spec : specs) {
    SCOPED_TRACE(spec.op_type);
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          NodeSpec node = spec;
          node.inputs = {AddConv(b, b.Input({2, 3, 6, 5}), 3, 8, precision)};
          const ValueId y = b.Add(node);
          return b.Build({AddConv(b, y, 8, 8, precision)});
        },
        static_cast<int>(spec.op_type.size()));
  }
}

TEST(Executor, SumsOfTwoGridsStayOnGrids) {
  for (int seed = 0; seed < 4; ++seed) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = AddConv(b, b.Input({1, 4, 5, 6}), 4, 8, precision);
          const ValueId y = AddConv(b, b.Input({1, 4, 5, 6}), 4, 8, precision);
          NodeSpec sum{seed % 2 == 0 ? "Add" : "Sub", {x, y}};
          if (seed < 2) sum.post_ops = {ReluPostOp()};
          // All three are read by layers, so all have grids.
          return b.Build({AddConv(b, b.Add(sum), 8, 8, precision),
                          AddConv(b, x, 8, 8, precision),
                          AddConv(b, y, 8, 8, precision)});
        },
        seed);
  }
}

TEST(Executor, ANormalizationWithAScaleOfEachRowIsRight) {
  for (const Shape& scale : {Shape{6}, Shape{1, 6}, Shape{6, 1}}) {
    GraphBuilder b(4);
    const ValueId x = b.Input({2, 6, 6});
    const Graph graph =
        b.Build({b.Add({"LayerNormalization",
                        {x, b.Weights(scale, 1), b.Weights(scale, 1)}})});
    std::mt19937 random(4);
    ExpectSameInFloat(graph, RandomInputs(graph, random));
  }
}

TEST(Executor, AttentionByPartsIsRight) {
  ExpectSame(
      [](GraphBuilder& b, v1::Precision precision) {
        const ValueId x = b.Input({2, 6, 16});
        const ValueId norm =
            b.Add({"LayerNormalization",
                   {x, b.Weights({16}, 1), b.Weights({16}, 1)}});
        const auto heads = [&](const Ints& order) {
          NodeSpec linear{"MatMul", {norm, b.Weights({16, 16}, 0.3f)}};
          linear.precision = precision;
          const ValueId split =
              b.Add({"Reshape", {b.Add(linear), b.Integers({2, 6, 4, 4})}});
          return b.Add({"Transpose", {split}, {{"perm", order}}});
        };
        const ValueId query = heads({0, 2, 1, 3});
        const ValueId key = heads({0, 2, 3, 1});
        const ValueId value = heads({0, 2, 1, 3});
        const ValueId weights =
            b.Add({"Softmax", {b.Add({"MatMul", {query, key}})}});
        const ValueId mixed = b.Add({"Transpose",
                                     {b.Add({"MatMul", {weights, value}})},
                                     {{"perm", Ints{0, 2, 1, 3}}}});
        const ValueId joined =
            b.Add({"Reshape", {mixed, b.Integers({2, 6, 16})}});
        return b.Build({b.Add({"Add", {joined, x}})});
      },
      3);
}

// A random chain of layers with additions, concats and pools.
Graph RandomNetwork(int seed, bool is_mixed) {
  GraphBuilder b(seed);
  const auto precision = [&] {
    return is_mixed ? static_cast<v1::Precision>(b.Between(1, 3)) : v1::F32;
  };
  ValueId x =
      AddConv(b, b.Input({b.Between(1, 2), 3, 8, 8}), 3, 16, precision());
  int64_t channels = 16;
  std::vector<ValueId> outputs;
  for (int layer = 0; layer < 6; ++layer) {
    const ValueId y = AddConv(b, x, channels, channels, precision(),
                              b.Between(0, 1) == 0 ? 1 : 3);
    switch (b.Between(0, 4)) {
      case 0:
        x = b.Add({"Concat", {x, y}, {{"axis", int64_t{1}}}});
        channels *= 2;
        break;
      case 1:
        x = b.Add({"MaxPool",
                   {y},
                   {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}});
        break;
      case 2:
        x = b.Add({"Add", {x, y}});
        break;
      default: {
        NodeSpec spec{
            "Conv",
            {y, b.Weights({channels, channels, 1, 1}, 0.1f), kNoValue, x},
            {},
            {AddPostOp(3), ReluPostOp()},
            precision()};
        x = b.Add(spec);
      }
    }
    if (b.Between(0, 5) == 0) outputs.push_back(y);
  }
  outputs.push_back(x);
  return b.Build(outputs);
}

TEST(Executor, RandomNetworksInFloat32AreThoseOfTheReference) {
  for (int seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Graph graph = RandomNetwork(seed, /*is_mixed=*/false);
    std::mt19937 random(seed);
    ExpectSameInFloat(graph, RandomInputs(graph, random));
  }
}

// bfloat16 leaves 2^-9 of every number; a dozen layers add up to less than 12
// times that in the root mean square, grids included twice.
TEST(Executor, RandomNetworksOfMixedPrecisionStayClose) {
  for (int seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Graph mixed = RandomNetwork(seed, /*is_mixed=*/true);
    std::mt19937 random(seed);
    const auto inputs = RandomInputs(mixed, random);
    GridOptions options;
    options.is_signed = seed % 2 == 0;
    options.has_zero_points = seed % 3 == 0;
    const Graph graph = WithGrids(mixed, inputs, options);
    const auto expected = EvaluateGraph(graph, inputs);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const auto actual = Execute(graph, inputs);
    for (size_t i = 0; i < actual.size(); ++i) {
      EXPECT_LE(RelativeError(actual[i], (*expected)[i]), 12.0 / 512);
    }
  }
}

TEST(Executor, Int8LayersRunInt8Kernels) {
  GraphBuilder b(1);
  const Graph graph =
      b.Build({AddConv(b, b.Input({1, 16, 8, 8}), 16, 16, v1::INT8)});
  const auto inputs = RandomInputs(graph, b.random());
  const auto executor = Executor::Compile(WithGrids(graph, inputs, {}), {});
  ASSERT_TRUE(executor.ok()) << executor.status();
  if (ProbeHardware(1).isa().rfind("avx512_core", 0) != 0 || !HasExactInt8()) {
    GTEST_SKIP() << "no such kernels on " << ProbeHardware(1).isa();
  }
  for (const StepInfo& step : (*executor)->steps()) {
    if (step.kind == "conv") {
      EXPECT_THAT(step.implementation,
                  testing::AnyOf(HasSubstr("int8"), HasSubstr("vnni")));
    }
  }
}

TEST(Executor, InputsSurviveARunAndOutputsMayBeInputs) {
  GraphBuilder b(1);
  const ValueId x = b.Input({1, 8, 4, 4});
  NodeSpec conv{"Conv",
                {b.Add({"Relu", {x}}), b.Weights({8, 8, 1, 1}, 1), kNoValue, x},
                {},
                {AddPostOp(3)}};
  const ValueId y = b.Add(conv);
  const Graph graph = b.Build({y, x, y});
  const auto inputs = RandomInputs(graph, b.random());
  ExpectSameInFloat(graph, inputs);
  EXPECT_EQ(Execute(graph, inputs)[1].bytes(), inputs[0].bytes());
}

TEST(Executor, TellsStepsTimesAndMemory) {
  GraphBuilder b(1);
  ValueId x = b.Input({1, 16, 16, 16});
  for (int layer = 0; layer < 10; ++layer) x = AddConv(b, x, 16, 16, v1::F32);
  const Graph graph = b.Build({x});
  const auto executor = Executor::Compile(graph, {});
  ASSERT_TRUE(executor.ok()) << executor.status();
  const size_t steps = (*executor)->steps().size();
  ASSERT_GE(steps, 10u);
  EXPECT_EQ((*executor)->steps()[steps / 2].name,
            graph.nodes()[(*executor)->steps()[steps / 2].node].name);
  std::vector<double> seconds(steps, 0);
  ASSERT_TRUE((*executor)->RunTimed(&seconds).ok());
  EXPECT_GT(*std::min_element(seconds.begin(), seconds.end()), 0);
  // A chain has a layer's input and output alive, and the graph's own.
  const int64_t map_bytes = 16 * 16 * 16 * 4;
  EXPECT_GE((*executor)->peak_activation_bytes(), 2 * map_bytes);
  EXPECT_LE((*executor)->peak_activation_bytes(), 3 * map_bytes);
}

TEST(Executor, TakesDenormalNumbersForZeroWhileItRunsOnly) {
  GraphBuilder b(1);
  const ValueId x = b.Input({1, 16});
  const Graph graph = b.Build({b.Add({"Relu", {x}})});
  const auto executor = Executor::Compile(graph, {});
  ASSERT_TRUE(executor.ok()) << executor.status();
  volatile float tiny = 1e-40f;
  static_cast<float*>((*executor)->input(0))[0] = tiny;
  const unsigned before = _mm_getcsr();
  ASSERT_TRUE((*executor)->Run().ok());
  EXPECT_EQ(_mm_getcsr(), before);
  const DenormalsAsZero denormals;
  EXPECT_EQ(tiny * 1e30f, 0);
}

TEST(Executor, NamesTheNodeWhoseShapesDoNotFit) {
  GraphBuilder b(1);
  const ValueId x = AddConv(b, b.Input({1, 8, 4, 4}), 7, 8, v1::F32);
  const auto executor = Executor::Compile(b.Build({x}), {});
  EXPECT_EQ(executor.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(executor.status().message()), HasSubstr("Conv_0"));
}

TEST(Executor, RefusesABatchThatTheGraphRulesOut) {
  GraphBuilder b(1);
  const Graph graph = b.Build({b.Add({"Relu", {b.Input({1, 8})}})});
  ExecutorOptions options;
  options.batch = 2;
  EXPECT_EQ(Executor::Compile(graph, options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RunNode, AgreesWithTheReferenceOperators) {
  GraphBuilder b(9);
  const ValueId x = b.Input({4, 6, 7, 7});
  const ValueId addend = b.Input({4, 8, 7, 7});
  NodeSpec spec{"Conv",
                {x, b.Weights({8, 6, 3, 3}, 0.2f), kNoValue, addend},
                {{"pads", Ints{1, 1, 1, 1}}},
                {AddPostOp(3), ReluPostOp()},
                v1::BF16};
  const Graph graph = b.Build({b.Add(spec), b.Add({"Erf", {x}})});
  const std::vector<Tensor> values =
      EvaluateAllValues(graph, RandomInputs(graph, b.random()));
  for (const Node& node : graph.nodes()) {
    std::vector<Tensor> inputs;
    for (ValueId value : node.inputs) {
      inputs.push_back(value == kNoValue ? Tensor() : values[value]);
    }
    const auto result = RunNode(node, 17, inputs);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_LE(RelativeError((*result)[0], values[node.outputs[0]]), 1e-5);
  }
}

TEST(Hardware, IsNamed) {
  const v1::HardwareProfile profile = ProbeHardware(3);
  EXPECT_FALSE(profile.cpu().empty());
  EXPECT_THAT(profile.onednn(), testing::ContainsRegex("^[23]\\.[0-9]+"));
  EXPECT_EQ(profile.threads(), 3);
  EXPECT_EQ(HasNativeBf16(), absl::StrContains(profile.isa(), ", bf16"));
  EXPECT_EQ(HasExactInt8(), absl::StrContains(profile.isa(), ", vnni"));
}

}  // namespace
}  // namespace lathe
