// LSTM and GRU in every form that oneDNN has, against the reference operators.
#include <array>
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

constexpr int64_t kSteps = 5;
constexpr int64_t kBatch = 3;
constexpr int64_t kInputs = 7;
constexpr int64_t kHidden = 20;

struct RecurrentCase {
  std::string op_type;
  std::string direction;
  bool has_bias = false;
  bool has_state = false;
  bool is_linear_before_reset = false;
  int64_t batch = kBatch;
};

// All outputs of one recurrent node; the first also transposed and reshaped,
// as models do that put a layer behind it.
Graph MakeRecurrentGraph(const RecurrentCase& c, int seed) {
  GraphBuilder b(seed);
  const bool is_lstm = c.op_type == "LSTM";
  const int64_t directions = c.direction == "bidirectional" ? 2 : 1;
  const int64_t rows = (is_lstm ? 4 : 3) * kHidden;
  NodeSpec spec{
      c.op_type,
      {b.Input({kSteps, c.batch, kInputs}),
       b.Weights({directions, rows, kInputs}, 0.4f),
       b.Weights({directions, rows, kHidden}, 0.3f),
       c.has_bias ? b.Weights({directions, 2 * rows}, 0.5f) : kNoValue}};
  if (c.has_state) {
    spec.inputs.push_back(kNoValue);
    const Shape state = {directions, c.batch, kHidden};
    spec.inputs.push_back(b.Input(state));
    if (is_lstm) spec.inputs.push_back(b.Input(state));
  }
  spec.attributes = {{"hidden_size", kHidden}, {"direction", c.direction}};
  if (c.is_linear_before_reset) {
    spec.attributes["linear_before_reset"] = int64_t{1};
  }
  const ValueId all = b.Add(spec);
  const ValueId beside =
      b.Add({"Transpose", {all}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}}});
  const ValueId flat = b.Add({"Flatten", {beside}});
  GraphParts parts = b.Build({all, flat}).parts();
  for (const char* name : {"last_state", "last_cell"}) {
    if (!is_lstm && name == std::string("last_cell")) break;
    Value value;
    value.name = name;
    const ValueId id = static_cast<ValueId>(parts.values.size());
    parts.values.push_back(value);
    parts.nodes[0].outputs.push_back(id);
    parts.outputs.push_back(id);
  }
  return *Graph::Create(std::move(parts));
}

class Recurrent : public testing::TestWithParam<std::string> {};

TEST_P(Recurrent, IsAKernelThatComputesWhatTheReferenceDoes) {
  int seed = 0;
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    for (int variant = 0; variant < 24; ++variant) {
      // Loops take samples one, two and six at a time.
      const RecurrentCase c = {
          GetParam(),         direction,
          (variant & 1) != 0, (variant & 2) != 0,
          (variant & 4) != 0, std::array{1, 3, 9}[variant / 8]};
      if (GetParam() == "LSTM" && c.is_linear_before_reset) continue;
      SCOPED_TRACE(testing::Message() << direction << " variant " << variant);
      const Graph graph = MakeRecurrentGraph(c, ++seed);
      std::mt19937 random(seed);
      ExpectSameInFloat(graph, RandomInputs(graph, random));
      std::vector<Shape> shapes;
      for (ValueId input : graph.inputs()) {
        shapes.push_back(graph.value(input).shape);
      }
      const auto executor = CompileForShapes(graph, shapes);
      ASSERT_TRUE(executor.ok()) << executor.status();
      EXPECT_NE((*executor)->steps()[0].implementation, "reference");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, Recurrent, testing::Values("LSTM", "GRU"),
                         [](const auto& info) { return info.param; });

TEST(RecurrentLengths, OfSamplesAreKept) {
  GraphBuilder b(1);
  ValueId x = b.Input({kSteps, kBatch, kInputs});
  NodeSpec spec{"LSTM",
                {x, b.Weights({1, 4 * kHidden, kInputs}, 0.4f),
                 b.Weights({1, 4 * kHidden, kHidden}, 0.3f), kNoValue}};
  const ValueId lengths = b.Integers({5, 2, 3});
  spec.inputs.push_back(lengths);
  spec.attributes = {{"hidden_size", kHidden}};
  const ValueId all = b.Add(spec);
  GraphParts parts = b.Build({all}).parts();
  Value& value = parts.values[lengths];
  value.type = DataType::kInt32;
  value.constant = Tensor::Of<int32_t>({kBatch}, std::vector<int32_t>{5, 2, 3});
  const Graph graph = *Graph::Create(std::move(parts));
  std::mt19937 random(1);
  ExpectSameInFloat(graph, RandomInputs(graph, random));
}

}  // namespace
}  // namespace lathe
