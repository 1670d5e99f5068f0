// Layers whose grids come from the data, against the reference operators.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compressor/dynamic_grid.h"
#include "compressor/reference_ops.h"
#include "compressor/weight_quantizer.h"
#include "evaluator/compile.h"
#include "evaluator/executor.h"
#include "evaluator/level_products.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Gives input `input` of the node integer weights along `axis`.
QuantizedWeights Quantize(GraphParts* parts, const Node& node, int input,
                          int axis, int bits) {
  Tensor& weights = *parts->values[node.inputs[input]].constant;
  const auto quantized =
      QuantizeWeights(weights, axis, bits, ScaleMethod::kMse);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  weights = DequantizeWeights(*quantized, weights.shape(), axis);
  return *quantized;
}

// Node 0 in INT8_DYNAMIC.
Graph Dynamic(const Graph& graph, int axis, int bits) {
  GraphParts parts = graph.parts();
  Node& node = parts.nodes[0];
  node.precision = v1::INT8_DYNAMIC;
  node.quantized_weights = Quantize(&parts, node, 1, axis, bits);
  if (IsRecurrentNode(node)) {
    node.quantized_recurrence = Quantize(&parts, node, 2, axis, bits);
  }
  return *Graph::Create(std::move(parts));
}

std::string FirstImplementation(const Graph& graph,
                                const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  const auto executor = CompileForShapes(graph, shapes);
  EXPECT_TRUE(executor.ok()) << executor.status();
  return executor.ok() ? (*executor)->steps()[0].implementation : "";
}

TEST(ExecutorDynamic, LinearLayersComputeWhatTheReferenceDoes) {
  int seed = 0;
  for (const int64_t rows : {1, 2, 5, 33}) {
    for (int variant = 0; variant < 16; ++variant) {
      SCOPED_TRACE(testing::Message() << rows << " rows, " << variant);
      GraphBuilder b(++seed);
      const bool is_turned = (variant & 1) != 0;
      const int64_t ins = (variant & 8) != 0 ? 32 : 37;
      const int64_t outs = 21;
      NodeSpec spec{
          "Gemm",
          {b.Input({rows, ins}),
           b.Weights(is_turned ? Shape{outs, ins} : Shape{ins, outs}, 0.3f),
           (variant & 2) != 0 ? b.Weights({outs}, 1) : kNoValue}};
      spec.attributes = {{"transB", int64_t{is_turned}}, {"alpha", 1.5f}};
      if ((variant & 4) != 0) spec.post_ops = {ReluPostOp()};
      const Graph graph = Dynamic(b.Build({b.Add(spec)}), is_turned ? 0 : 1, 8);
      std::mt19937 random(seed);
      const std::vector<Tensor> inputs = RandomInputs(graph, random);
      ExpectSameInFloat(graph, inputs);
      EXPECT_NE(FirstImplementation(graph, inputs), "reference");
    }
  }
}

TEST(ExecutorDynamic, AMatMulOfASequenceWithAnAdditionIsOneOfThem) {
  GraphBuilder b(3);
  const ValueId x = b.Input({2, 6, 24});
  NodeSpec spec{"MatMul", {x, b.Weights({24, 24}, 0.3f)}};
  spec.inputs.push_back(x);
  spec.post_ops = {AddPostOp(2)};
  const Graph graph = Dynamic(b.Build({b.Add(spec)}), 1, 5);
  std::mt19937 random(3);
  ExpectSameInFloat(graph, RandomInputs(graph, random));
}

TEST(ExecutorDynamic, NumbersWithoutRangeAreNoFault) {
  GraphBuilder b(4);
  const NodeSpec spec{"MatMul", {b.Input({1, 8}), b.Weights({8, 3}, 1)}};
  const Graph graph = Dynamic(b.Build({b.Add(spec)}), 1, 8);
  for (const float number : {0.0f, 1e-44f, 3.0f, -2.0f}) {
    const Tensor all = Tensor::Of<float>({1, 8}, std::vector<float>(8, number));
    ExpectSameInFloat(graph, {all});
  }
}

struct Cell {
  std::string op_type;
  std::string direction;
  bool has_bias = false;
  bool has_state = false;
  bool is_linear_before_reset = false;
  int64_t batch = 1;
};

Graph RecurrentGraph(const Cell& c, int64_t hidden, int seed) {
  constexpr int64_t kSteps = 6;
  constexpr int64_t kInputs = 7;
  GraphBuilder b(seed);
  const bool is_lstm = c.op_type == "LSTM";
  const int64_t directions = c.direction == "bidirectional" ? 2 : 1;
  const int64_t rows = (is_lstm ? 4 : 3) * hidden;
  NodeSpec spec{
      c.op_type,
      {b.Input({kSteps, c.batch, kInputs}),
       b.Weights({directions, rows, kInputs}, 0.4f),
       b.Weights({directions, rows, hidden}, 0.3f),
       c.has_bias ? b.Weights({directions, 2 * rows}, 0.5f) : kNoValue}};
  if (c.has_state) {
    const Shape state = {directions, c.batch, hidden};
    spec.inputs.push_back(kNoValue);
    spec.inputs.push_back(b.Weights(state, 0.3f));
    if (is_lstm) spec.inputs.push_back(b.Weights(state, 0.3f));
  }
  spec.attributes = {{"hidden_size", hidden}, {"direction", c.direction}};
  if (c.is_linear_before_reset) {
    spec.attributes["linear_before_reset"] = int64_t{1};
  }
  const ValueId all = b.Add(spec);
  return b.Build({all});
}

// Numbers that fall between two levels may go to either, and then a state that
// differs by a step moves the next ones; it must stay far below what rounding
// itself moves.
TEST(ExecutorDynamic, RecurrentLayersComputeWhatTheReferenceDoes) {
  int seed = 100;
  for (const char* op_type : {"LSTM", "GRU"}) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      for (int variant = 0; variant < 16; ++variant) {
        const Cell c = {op_type,
                        direction,
                        (variant & 1) != 0,
                        (variant & 2) != 0,
                        (variant & 4) != 0,
                        (variant & 8) != 0 ? 3 : 1};
        SCOPED_TRACE(testing::Message()
                     << op_type << ' ' << direction << ' ' << variant);
        const int64_t hidden = (variant & 1) != 0 ? 20 : 35;
        const Graph graph = Dynamic(RecurrentGraph(c, hidden, ++seed), 1, 8);
        std::mt19937 random(seed);
        const std::vector<Tensor> inputs = RandomInputs(graph, random);
        const auto expected = EvaluateGraph(graph, inputs);
        ASSERT_TRUE(expected.ok()) << expected.status();
        const std::vector<Tensor> actual = Execute(graph, inputs);
        EXPECT_LT(RelativeError(actual[0], (*expected)[0]), 1e-3);
        EXPECT_NE(FirstImplementation(graph, inputs), "reference");
      }
    }
  }
}

TEST(ExecutorDynamic, StatesAreRounded) {
  const Graph graph = Dynamic(RecurrentGraph({"LSTM", "forward"}, 20, 7), 1, 8);
  GraphParts parts = graph.parts();
  parts.nodes[0].precision = v1::F32;
  const Graph plain = *Graph::Create(std::move(parts));
  std::mt19937 random(7);
  const std::vector<Tensor> inputs = RandomInputs(graph, random);
  const auto unrounded = EvaluateGraph(plain, inputs);
  ASSERT_TRUE(unrounded.ok());
  EXPECT_GT(RelativeError(Execute(graph, inputs)[0], (*unrounded)[0]), 1e-3);
}

TEST(LevelProducts, AreExactForAnyShape) {
  std::mt19937 random(1);
  for (const int64_t rows : {1, 16, 17, 130, 250}) {
    for (const int64_t columns : {1, 4, 7, 118}) {
      std::vector<int8_t> levels(rows * columns);
      for (int8_t& level : levels) level = static_cast<int8_t>(random());
      const PackedLevels packed(levels.data(), rows, columns, 1, rows);
      std::vector<uint8_t> source(packed.padded_columns(), 0);
      for (int64_t c = 0; c < columns; ++c) {
        source[c] = static_cast<uint8_t>(random());
      }
      std::vector<int32_t> sums(packed.padded_rows());
      MultiplyLevels(source.data(),
                     {packed.bytes().data(), packed.blocks(), packed.groups()},
                     sums.data());
      for (int64_t r = 0; r < rows; ++r) {
        int32_t expected = 0;
        for (int64_t c = 0; c < columns; ++c) {
          expected += source[c] * levels[r + c * rows];
        }
        ASSERT_EQ(sums[r], expected) << r << " of " << rows << "x" << columns;
      }
    }
  }
}

}  // namespace
}  // namespace lathe
