// LSTM, GRU and RNN against the reference operators.
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

// The forms that oneDNN has not: any mixture of named activations, clipping,
// peepholes, batch first and lengths.
struct Form {
  std::string op_type;
  int64_t gates = 1;
  // Activations of one direction.
  int activations = 1;
  // Inputs that it may have behind the first state.
  bool has_cell = false;
};

class RecurrentForms : public testing::TestWithParam<Form> {};

std::vector<std::string> SomeActivations(GraphBuilder& b, int count) {
  constexpr std::array kNames = {"Sigmoid",   "Tanh",     "Relu",
                                 "Softsign",  "Softplus", "HardSigmoid",
                                 "LeakyRelu", "Elu"};
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(kNames[b.Between(0, 7)]);
  return names;
}

// Node and graph inputs of a random form; lengths are the last constant.
Graph MakeForm(const Form& form, int seed) {
  GraphBuilder b(seed);
  const auto has = [&] { return b.Between(0, 1) == 1; };
  const int64_t batch = b.Between(1, 8);
  const bool is_clipped = has();
  const bool has_names = has();
  // With gates above 1 or below 0, numbers grow from step to step, and so do
  // the least differences.
  const int64_t steps = b.Between(1, has_names && !is_clipped ? 3 : 60);
  const int64_t hidden = b.Between(1, 40);
  const std::string direction =
      std::array{"forward", "reverse", "bidirectional"}[b.Between(0, 2)];
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  const bool is_batch_first = has();
  const int64_t rows = form.gates * hidden;
  NodeSpec spec{form.op_type,
                {b.Input(is_batch_first ? Shape{batch, steps, kInputs}
                                        : Shape{steps, batch, kInputs}),
                 b.Weights({directions, rows, kInputs}, 0.4f),
                 b.Weights({directions, rows, hidden}, 0.2f),
                 has() ? b.Weights({directions, 2 * rows}, 0.5f) : kNoValue}};
  ValueId lengths = kNoValue;
  if (has()) lengths = b.Integers({0});
  spec.inputs.push_back(lengths);
  const Shape state = is_batch_first ? Shape{batch, directions, hidden}
                                     : Shape{directions, batch, hidden};
  spec.inputs.push_back(has() ? b.Input(state) : kNoValue);
  if (form.has_cell) {
    spec.inputs.push_back(has() ? b.Input(state) : kNoValue);
    spec.inputs.push_back(has() ? b.Weights({directions, 3 * hidden}, 0.5f)
                                : kNoValue);
  }
  spec.attributes = {{"hidden_size", hidden},
                     {"direction", direction},
                     {"layout", int64_t{is_batch_first ? 1 : 0}}};
  if (is_clipped) spec.attributes["clip"] = 0.7f;
  if (has_names) {
    spec.attributes["activations"] =
        SomeActivations(b, form.activations * static_cast<int>(directions));
  }
  if (form.op_type == "GRU") {
    spec.attributes["linear_before_reset"] = b.Between(0, 1);
  }
  const std::vector<ValueId> outputs = b.AddMany(spec, form.has_cell ? 3 : 2);
  GraphParts parts = b.Build(outputs, 14).parts();
  if (lengths != kNoValue) {
    std::vector<int32_t> numbers;
    for (int64_t n = 0; n < batch; ++n) {
      numbers.push_back(static_cast<int32_t>(b.Between(0, steps)));
    }
    Value& value = parts.values[lengths];
    value.type = DataType::kInt32;
    value.constant = Tensor::Of<int32_t>({batch}, numbers);
  }
  return *Graph::Create(std::move(parts));
}

TEST_P(RecurrentForms, AreLoopsThatComputeWhatTheReferenceDoes) {
  for (int seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = MakeForm(GetParam(), seed);
    std::mt19937 random(seed);
    ExpectQuick(graph, GetParam().op_type, random);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentForms,
                         testing::Values(Form{"LSTM", 4, 3, true},
                                         Form{"GRU", 3, 2}, Form{"RNN", 1, 1}),
                         [](const auto& info) { return info.param.op_type; });

TEST(RecurrentLengths, MayBeKnownAtRunTimeOnly) {
  GraphBuilder b(1);
  const ValueId x = b.Input({kSteps, kBatch, kInputs});
  const ValueId lengths = b.Input({kBatch});
  NodeSpec spec{"LSTM",
                {x, b.Weights({1, 4 * kHidden, kInputs}, 0.4f),
                 b.Weights({1, 4 * kHidden, kHidden}, 0.3f), kNoValue, lengths},
                {{"hidden_size", kHidden}}};
  GraphParts parts = b.Build({b.Add(spec)}).parts();
  parts.values[lengths].type = DataType::kInt32;
  const Graph graph = *Graph::Create(std::move(parts));
  std::mt19937 random(1);
  std::vector<Tensor> inputs = RandomInputs(graph, random);
  // Beyond what there is counts as all, and less than nothing as nothing.
  inputs[1] = Tensor::Of<int32_t>({kBatch}, std::vector<int32_t>{9, -1, 3});
  ExpectSameInFloat(graph, inputs);
}

// A sample's bits do not depend on how many others there are.
TEST(RecurrentBatch, LeavesTheBitsOfASampleAlone) {
  for (const char* op : {"LSTM", "GRU", "RNN"}) {
    const Form form{op, op[0] == 'L' ? 4 : op[0] == 'G' ? 3 : 1};
    std::vector<Tensor> outputs;
    for (int64_t batch : {1, 9}) {
      GraphBuilder b(3);
      const ValueId w = b.Weights({1, form.gates * kHidden, kInputs}, 0.4f);
      const ValueId r = b.Weights({1, form.gates * kHidden, kHidden}, 0.3f);
      const ValueId x = b.Input({kSteps, batch, kInputs});
      const Graph graph = b.Build(
          {b.Add({op, {x, w, r}, {{"hidden_size", kHidden}, {"clip", 5.0f}}})});
      // Equal samples.
      std::vector<float> spread(kSteps * batch * kInputs);
      for (int64_t t = 0; t < kSteps; ++t) {
        for (int64_t n = 0; n < batch; ++n) {
          for (int64_t i = 0; i < kInputs; ++i) {
            spread[(t * batch + n) * kInputs + i] =
                0.1f * static_cast<float>((t * kInputs + i) % 13);
          }
        }
      }
      outputs.push_back(Execute(
          graph, {Tensor::Of<float>({kSteps, batch, kInputs}, spread)})[0]);
    }
    for (int64_t t = 0; t < kSteps; ++t) {
      for (int64_t n = 0; n < 9; ++n) {
        EXPECT_EQ(
            outputs[0].values<float>().subspan(t * kHidden, kHidden),
            outputs[1].values<float>().subspan((t * 9 + n) * kHidden, kHidden))
            << op << " step " << t << " sample " << n;
      }
    }
  }
}

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
