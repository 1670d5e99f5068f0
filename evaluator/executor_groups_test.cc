// Nodes that one kernel computes together, against the reference operators.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "evaluator/compile.h"
#include "evaluator/executor.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using testing::Contains;
using testing::Not;

// `graph` with these constants, of no dimensions.
Graph WithNumbers(const Graph& graph, const std::map<ValueId, float>& numbers) {
  GraphParts parts = graph.parts();
  for (const auto& [value, number] : numbers) {
    parts.values[value].constant =
        Tensor::Of<float>({}, std::vector<float>{number});
  }
  return *Graph::Create(std::move(parts));
}

std::vector<std::string> KindsOf(const Graph& graph) {
  std::vector<Shape> shapes;
  for (ValueId input : graph.inputs()) {
    shapes.push_back(graph.value(input).shape);
  }
  const auto executor = CompileForShapes(graph, shapes);
  EXPECT_TRUE(executor.ok()) << executor.status();
  std::vector<std::string> kinds;
  if (!executor.ok()) return kinds;
  for (const StepInfo& step : (*executor)->steps()) kinds.push_back(step.kind);
  return kinds;
}

// How a residual addition meets its kernel.
enum class Residual { kNone, kDies, kIsReadAgain, kIsTheSource };

Graph MakeLinear(GraphBuilder& b, v1::Precision precision, Residual residual) {
  const ValueId x = b.Add({"Relu", {b.Input({2, 5, 24})}});
  NodeSpec product{"MatMul", {x, b.Weights({24, 24}, 0.2f)}};
  product.precision = precision;
  ValueId y = b.Add({"Add", {b.Add(product), b.Weights({24}, 0.5f)}});
  const ValueId other = b.Add({"LeakyRelu", {b.Input({2, 5, 24})}});
  std::vector<ValueId> outputs;
  if (residual == Residual::kIsTheSource) y = b.Add({"Add", {x, y}});
  if (residual == Residual::kDies || residual == Residual::kIsReadAgain) {
    y = b.Add({"Add", {y, other}});
  }
  if (residual == Residual::kIsReadAgain) {
    outputs.push_back(b.Add({"Sigmoid", {other}}));
  }
  outputs.push_back(b.Add({"Tanh", {y}}));
  return b.Build(outputs);
}

TEST(NodeGroups, AMatMulTakesItsBiasAlongAndMeetsItsResidual) {
  int seed = 0;
  for (Residual residual : {Residual::kNone, Residual::kDies,
                            Residual::kIsReadAgain, Residual::kIsTheSource}) {
    const auto make = [&](GraphBuilder& b, v1::Precision precision) {
      return MakeLinear(b, precision, residual);
    };
    ExpectSame(make, ++seed);
  }
  GraphBuilder b(1);
  EXPECT_THAT(KindsOf(MakeLinear(b, v1::F32, Residual::kNone)),
              Not(Contains("add")));
}

// Two heads as exporters write them: one matrix for queries, keys and values,
// which Transpose and Gather take apart.
Graph MakeAttention(GraphBuilder& b, v1::Precision precision) {
  constexpr int64_t kBatch = 2, kTokens = 9, kHeads = 2, kSize = 16;
  const ValueId x = b.Input({kBatch, kTokens, kHeads * kSize});
  NodeSpec all{"MatMul",
               {x, b.Weights({kHeads * kSize, 3 * kHeads * kSize}, 0.2f)}};
  all.precision = precision;
  const ValueId apart =
      b.Add({"Reshape",
             {b.Add(all), b.Integers({kBatch, kTokens, 3, kHeads, kSize})}});
  const ValueId ordered = b.Add(
      {"Transpose", {apart}, {{"perm", std::vector<int64_t>{2, 0, 3, 1, 4}}}});
  std::vector<ValueId> indices;
  std::vector<ValueId> parts;
  for (int64_t i = 0; i < 3; ++i) {
    indices.push_back(b.Integers({i}));
    parts.push_back(b.Add({"Gather", {ordered, indices.back()}}));
  }
  const ValueId keys = b.Add(
      {"Transpose", {parts[1]}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}}});
  const ValueId number = b.Weights({}, 1);
  const ValueId scores =
      b.Add({"Mul", {b.Add({"MatMul", {parts[0], keys}}), number}});
  const ValueId weights = b.Add({"Softmax", {scores}});
  const ValueId mixed = b.Add({"MatMul", {weights, parts[2]}});
  const ValueId beside = b.Add(
      {"Transpose", {mixed}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}}});
  GraphParts built = b.Build({beside}).parts();
  for (size_t i = 0; i < indices.size(); ++i) {
    built.values[indices[i]].constant =
        Tensor::Of<int64_t>({}, std::vector<int64_t>{static_cast<int64_t>(i)});
    built.values[indices[i]].shape = {};
  }
  return WithNumbers(*Graph::Create(std::move(built)), {{number, 0.25f}});
}

TEST(NodeGroups, AttentionIsProductsOfViews) {
  ExpectSame(MakeAttention, 1);
  GraphBuilder b(2);
  const auto kinds = KindsOf(MakeAttention(b, v1::F32));
  EXPECT_THAT(kinds, Not(Contains("gather")));
  EXPECT_THAT(kinds, Not(Contains("mul")));
}

// Gelu as exporters write it. `is_read_apart`: somebody reads its Erf too.
Graph MakeGelu(GraphBuilder& b, bool is_read_apart) {
  const ValueId x = b.Add({"LeakyRelu", {b.Input({3, 40})}});
  const ValueId root = b.Weights({}, 1);
  const ValueId one = b.Weights({}, 1);
  const ValueId half = b.Weights({}, 1);
  const ValueId erf = b.Add({"Erf", {b.Add({"Div", {x, root}})}});
  const ValueId product = b.Add({"Mul", {x, b.Add({"Add", {erf, one}})}});
  std::vector<ValueId> outputs = {b.Add({"Mul", {product, half}})};
  if (is_read_apart) outputs.push_back(b.Add({"Abs", {erf}}));
  return WithNumbers(b.Build(outputs),
                     {{root, std::sqrt(2.f)}, {one, 1.f}, {half, 0.5f}});
}

TEST(NodeGroups, AGeluIsOneStep) {
  for (bool is_read_apart : {false, true}) {
    GraphBuilder b(3);
    const Graph graph = MakeGelu(b, is_read_apart);
    std::mt19937 random(4);
    ExpectSameInFloat(graph, RandomInputs(graph, random));
    const auto kinds = KindsOf(graph);
    EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "gelu"),
              is_read_apart ? 0 : 1);
  }
}

TEST(NodeGroups, ActivationsOfOneOrMoreNodesAreFusedIntoLayers) {
  const auto swish = [](GraphBuilder& b, ValueId x) {
    return b.Add({"Mul", {b.Add({"Sigmoid", {x}}), x}});
  };
  const auto unary = [](const char* op) {
    return [op](GraphBuilder& b, ValueId x) { return b.Add({op, {x}}); };
  };
  const std::vector<std::function<ValueId(GraphBuilder&, ValueId)>> all = {
      swish,         unary("Gelu"), unary("Elu"),     unary("Selu"),
      unary("Mish"), unary("Tanh"), unary("Softplus")};
  int seed = 0;
  for (const auto& activation : all) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = b.Input({1, 8, 6, 5});
          const ValueId side = AddConv(b, x, 8, 16, precision);
          NodeSpec conv{
              "Conv",
              {x, b.Weights({16, 8, 1, 1}, .3f), b.Weights({16}, 1), side},
              {},
              {AddPostOp(3)},
              precision};
          const ValueId y = activation(b, b.Add(conv));
          return b.Build({AddConv(b, y, 16, 8, precision), b.Add({"Neg", {y}})},
                         20);
        },
        ++seed);
    GraphBuilder b(seed);
    NodeSpec product{"MatMul", {b.Input({1, 7, 8}), b.Weights({8, 12}, .3f)}};
    const ValueId y =
        activation(b, b.Add({"Add", {b.Add(product), b.Weights({12}, 1)}}));
    const Graph graph = b.Build({y}, 20);
    ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
    const auto executor = Executor::Compile(graph, {});
    ASSERT_TRUE(executor.ok()) << executor.status();
    EXPECT_EQ((*executor)->steps().size(), 1u);
  }
}

TEST(NodeGroups, AnActivationWhoseArgumentIsReadElsewhereStaysApart) {
  GraphBuilder b(1);
  const ValueId x = AddConv(b, b.Input({1, 8, 6, 5}), 8, 16, v1::F32);
  NodeSpec conv{"Conv", {x, b.Weights({16, 16, 1, 1}, .3f)}};
  const ValueId y = b.Add(conv);
  const ValueId swish = b.Add({"Mul", {y, b.Add({"Sigmoid", {y}})}});
  const Graph graph = b.Build({b.Add({"Add", {swish, y}})});
  ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
}

}  // namespace
}  // namespace lathe
