// LSTM and GRU.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "base/status.h"
#include "evaluator/lower_dynamic.h"
#include "evaluator/lower_ops.h"
#include "evaluator/lstm_loop.h"
#include "evaluator/vector_loops.h"
#include "evaluator/vector_math.h"

namespace lathe {
namespace {

using Cell = RecurrentSpec::Cell;

// ONNX's inputs.
enum Input {
  kSource,
  kWeights,
  kRecurrence,
  kBias,
  kLengths,
  kFirstState,
  kFirstCell,
  kPeepholes
};

ValueId InputOf(const Node& node, size_t index) {
  return index < node.inputs.size() ? node.inputs[index] : kNoValue;
}

ValueId OutputOf(const Node& node, size_t index) {
  return index < node.outputs.size() ? node.outputs[index] : kNoValue;
}

struct RecurrentSizes {
  int64_t steps = 0;
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t directions = 1;
  int64_t gates = 0;
};

// Whether every sample has all steps.
bool HasFullLengths(const LoweringContext& context, const Node& node,
                    int64_t steps) {
  const ValueId lengths = InputOf(node, kLengths);
  if (lengths == kNoValue) return true;
  const Tensor* tensor = context.constant(lengths);
  if (tensor == nullptr || tensor->type() != DataType::kInt32) return false;
  for (int32_t length : tensor->values<int32_t>()) {
    if (length != steps) return false;
  }
  return true;
}

// Whether the activations, if any are named, are those that an LSTM or GRU has
// without.
bool HasUsualActivations(const Node& node) {
  const auto found = node.attributes.find("activations");
  if (found == node.attributes.end()) return true;
  const auto* names = std::get_if<std::vector<std::string>>(&found->second);
  if (names == nullptr) return false;
  const size_t count = node.op_type == "LSTM" ? 3 : 2;
  const bool is_double =
      node.StringOr("direction", "forward") == "bidirectional";
  if (names->size() != count * (is_double ? 2 : 1)) return false;
  for (size_t i = 0; i < names->size(); ++i) {
    if (!absl::EqualsIgnoreCase((*names)[i],
                                i % count == 0 ? "sigmoid" : "tanh")) {
      return false;
    }
  }
  return true;
}

bool IsForOneDnn(const LoweringContext& context, const Node& node) {
  for (const char* attribute :
       {"activation_alpha", "activation_beta", "clip"}) {
    if (node.attributes.count(attribute) > 0) return false;
  }
  if (!HasUsualActivations(node)) return false;
  for (Input input : {kSource, kFirstState, kFirstCell}) {
    const ValueId value = InputOf(node, input);
    if (value != kNoValue && context.type(value) != DataType::kFloat32) {
      return false;
    }
  }
  for (Input input : {kWeights, kRecurrence}) {
    const Tensor* tensor = context.constant(InputOf(node, input));
    if (tensor == nullptr || tensor->type() != DataType::kFloat32) return false;
  }
  const ValueId bias = InputOf(node, kBias);
  return (bias == kNoValue || context.constant(bias) != nullptr) &&
         InputOf(node, kPeepholes) == kNoValue && node.post_ops.empty() &&
         node.IntOr("layout", 0) == 0 && node.IntOr("input_forget", 0) == 0;
}

class RecurrentLowering {
 public:
  RecurrentLowering(LoweringContext& context, const Node& node)
      : context_(context), node_(node) {
    const Shape& source = context.shape(node.inputs[kSource]);
    const Shape& recurrence = context.shape(node.inputs[kRecurrence]);
    const bool is_lstm = node.op_type == "LSTM";
    sizes_ = {source[0],     source[1],     source[2],
              recurrence[2], recurrence[0], is_lstm ? 4 : 3};
    if (!is_lstm) {
      spec_.cell = node.IntOr("linear_before_reset", 0) != 0
                       ? Cell::kLinearBeforeResetGru
                       : Cell::kGru;
    }
  }

  absl::StatusOr<bool> Run() {
    if (!HasFullLengths(context_, node_, sizes_.steps)) return false;
    FillSpec();
    if (spec_.cell == Cell::kLstm && IsQuickAsLoop()) return RunAsLoop();
    LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeRecurrent(spec_));
    LATHE_ASSIGN_OR_RETURN(std::vector<Operand> operands, Operands(kernel));
    const Copy all = context_.NewCopy(FloatEncoding(), spec_.destination);
    operands.push_back(Writes(DNNL_ARG_DST_LAYER, all, spec_.destination));
    const Copy state = context_.NewCopy(FloatEncoding(), spec_.last_state);
    operands.push_back(Writes(DNNL_ARG_DST_ITER, state, spec_.last_state));
    Copy cell;
    if (spec_.cell == Cell::kLstm) {
      cell = context_.NewCopy(FloatEncoding(), spec_.last_cell);
      operands.push_back(Writes(DNNL_ARG_DST_ITER_C, cell, spec_.last_cell));
    }
    LATHE_RETURN_IF_ERROR(context_.AddKernel(
        spec_.cell == Cell::kLstm ? "lstm" : "gru", kernel, operands));
    DefineAll(all);
    DefineState(1, state);
    DefineState(2, cell);
    return true;
  }

 private:
  // Than oneDNN, by measurement (executor_bench).
  bool IsQuickAsLoop() const {
    return sizes_.batch == 1 || WidestVectorIsa() == VectorIsa::kAvx512;
  }

  absl::StatusOr<bool> RunAsLoop() {
    LATHE_ASSIGN_OR_RETURN(const Copy source,
                           context_.FetchPlain(node_.inputs[kSource]));
    std::vector<Operand> operands = {Reads(source)};
    for (Input input : {kFirstState, kFirstCell}) {
      const ValueId value = InputOf(node_, input);
      if (value == kNoValue) continue;
      LATHE_ASSIGN_OR_RETURN(const Copy first, context_.FetchPlain(value));
      operands.push_back(Reads(first));
    }
    const int64_t hidden = sizes_.hidden;
    const Location work =
        context_.NewBuffer(LstmWorkFloats(sizes_.batch, hidden) *
                               static_cast<int64_t>(sizeof(float)),
                           /*is_persistent=*/false);
    operands.push_back({work, /*is_written=*/true});
    const Copy all = context_.NewCopy(FloatEncoding(), spec_.destination);
    const Copy state = context_.NewCopy(FloatEncoding(), spec_.last_state);
    const Copy cell = context_.NewCopy(FloatEncoding(), spec_.last_cell);
    for (const Copy* copy : {&all, &state, &cell}) {
      operands.push_back(Writes(*copy));
    }
    for (int64_t d = 0; d < sizes_.directions; ++d) {
      const std::vector<float> packed = PackLstm(WeightsOf(d));
      operands.push_back(
          {context_.NewConstant(packed.data(), packed.size() * sizeof(float)),
           /*is_written=*/false});
    }
    context_.AddLoop("lstm", VectorLoopIsa(), std::move(operands), LoopOfAll());
    DefineAll(all);
    DefineState(1, state);
    DefineState(2, cell);
    return true;
  }

  // What ONNX has for direction `d`.
  LstmWeights WeightsOf(int64_t d) const {
    const int64_t rows = sizes_.gates * sizes_.hidden;
    const auto part = [&](Input input, int64_t size) {
      const Tensor* tensor = context_.constant(InputOf(node_, input));
      return tensor == nullptr
                 ? absl::Span<const float>()
                 : tensor->values<float>().subspan(d * size, size);
    };
    LstmWeights weights;
    weights.inputs = sizes_.inputs;
    weights.hidden = sizes_.hidden;
    weights.source = part(kWeights, rows * sizes_.inputs);
    weights.recurrence = part(kRecurrence, rows * sizes_.hidden);
    const absl::Span<const float> bias = part(kBias, 2 * rows);
    if (bias.empty()) return weights;
    for (int64_t r = 0; r < rows; ++r) {
      weights.bias.push_back(bias[r] + bias[rows + r]);
    }
    return weights;
  }

  // Operands: source, first state and cell where they are given, work, all
  // states, last state and cell, and the weights of each direction.
  Loop LoopOfAll() const {
    const RecurrentSizes s = sizes_;
    const bool has_state = InputOf(node_, kFirstState) != kNoValue;
    const bool has_cell = InputOf(node_, kFirstCell) != kNoValue;
    const bool starts_reverse =
        node_.StringOr("direction", "forward") == "reverse";
    return [=](absl::Span<char* const> operands) {
      size_t next = 0;
      const auto take = [&] {
        return reinterpret_cast<float*>(operands[next++]);
      };
      const int64_t states = s.batch * s.hidden;
      const int64_t count = s.directions * states;
      const float* source = take();
      const float* first_state = has_state ? take() : nullptr;
      const float* first_cell = has_cell ? take() : nullptr;
      float* work = take();
      float* all = take();
      float* state = take();
      float* cell = take();
      const auto start = [count](const float* first, float* to) {
        if (first != nullptr) {
          std::copy_n(first, count, to);
        } else {
          std::fill_n(to, count, 0.0f);
        }
      };
      start(first_state, state);
      start(first_cell, cell);
      for (int64_t d = 0; d < s.directions; ++d) {
        LstmRun run = {s.steps, s.batch, s.inputs, s.hidden,
                       starts_reverse || d == 1};
        run.source = source;
        run.out = all + d * s.hidden;
        run.out_stride = s.directions * s.hidden;
        run.state = state + d * states;
        run.cell = cell + d * states;
        RunLstm(run, take(), work);
      }
      return absl::OkStatus();
    };
  }

  static MemoryDesc Float(const Shape& shape) {
    return PlainDesc(shape, DataType::kFloat32);
  }
  bool HasState() const {
    return InputOf(node_, kFirstState) != kNoValue ||
           InputOf(node_, kFirstCell) != kNoValue;
  }
  int64_t BiasGates() const {
    return spec_.cell == Cell::kLinearBeforeResetGru ? 4 : sizes_.gates;
  }

  void FillSpec() {
    const RecurrentSizes& s = sizes_;
    using Direction = dnnl::rnn_direction;
    const std::string direction = node_.StringOr("direction", "forward");
    if (direction == "reverse") {
      spec_.direction = Direction::unidirectional_right2left;
    } else if (direction == "bidirectional") {
      spec_.direction = Direction::bidirectional_concat;
    }
    spec_.source = Float({s.steps, s.batch, s.inputs});
    spec_.destination = Float({s.steps, s.batch, s.directions * s.hidden});
    spec_.weights = AnyDesc({1, s.directions, s.inputs, s.gates, s.hidden},
                            DataType::kFloat32);
    spec_.recurrence = AnyDesc({1, s.directions, s.hidden, s.gates, s.hidden},
                               DataType::kFloat32);
    spec_.bias = Float({1, s.directions, BiasGates(), s.hidden});
    spec_.last_state = Float({1, s.directions, s.batch, s.hidden});
    if (HasState()) spec_.first_state = spec_.last_state;
    if (spec_.cell != Cell::kLstm) return;
    spec_.last_cell = spec_.last_state;
    spec_.first_cell = spec_.first_state;
  }

  // Where ONNX (input, output, forget, candidate; update, reset, candidate)
  // has oneDNN's gate.
  int64_t OnnxGate(int64_t gate) const {
    constexpr std::array<int64_t, 4> kLstmGates = {0, 2, 3, 1};
    return spec_.cell == Cell::kLstm ? kLstmGates[gate] : gate;
  }

  // From [directions, gates * hidden, columns] to oneDNN's order.
  absl::StatusOr<Location> Weights(Input input, int64_t columns,
                                   const MemoryDesc& desc) {
    const auto values = context_.constant(node_.inputs[input])->values<float>();
    const int64_t hidden = sizes_.hidden;
    std::vector<float> ordered;
    ordered.reserve(values.size());
    for (int64_t d = 0; d < sizes_.directions; ++d) {
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t g = 0; g < sizes_.gates; ++g) {
          const int64_t first = (d * sizes_.gates + OnnxGate(g)) * hidden;
          for (int64_t h = 0; h < hidden; ++h) {
            ordered.push_back(values[(first + h) * columns + c]);
          }
        }
      }
    }
    return context_.NewReorderedConstant(
        ordered.data(),
        Float({1, sizes_.directions, columns, sizes_.gates, hidden}), desc);
  }

  // ONNX has a bias for the source and one for the state; only the candidate
  // of kLinearBeforeResetGru needs them apart.
  std::vector<float> Bias() const {
    const int64_t hidden = sizes_.hidden;
    const int64_t gates = BiasGates();
    std::vector<float> bias(sizes_.directions * gates * hidden, 0);
    const Tensor* tensor = context_.constant(InputOf(node_, kBias));
    if (tensor == nullptr) return bias;
    const auto values = tensor->values<float>();
    for (int64_t d = 0; d < sizes_.directions; ++d) {
      const float* source = &values[d * 2 * sizes_.gates * hidden];
      const float* state = source + sizes_.gates * hidden;
      float* to = &bias[d * gates * hidden];
      const bool is_apart = gates > sizes_.gates;
      for (int64_t g = 0; g < sizes_.gates; ++g) {
        const int64_t from = OnnxGate(g) * hidden;
        const bool is_sum = !is_apart || g + 1 < sizes_.gates;
        for (int64_t h = 0; h < hidden; ++h) {
          to[g * hidden + h] =
              source[from + h] + (is_sum ? state[from + h] : 0);
          if (!is_sum) to[(g + 1) * hidden + h] = state[from + h];
        }
      }
    }
    return bias;
  }

  absl::StatusOr<std::vector<Operand>> Operands(const Kernel& kernel) {
    LATHE_ASSIGN_OR_RETURN(const Copy source,
                           context_.FetchPlain(node_.inputs[kSource]));
    LATHE_ASSIGN_OR_RETURN(const Location weights,
                           Weights(kWeights, sizes_.inputs, kernel.weights));
    LATHE_ASSIGN_OR_RETURN(
        const Location recurrence,
        Weights(kRecurrence, sizes_.hidden, kernel.recurrence));
    const std::vector<float> bias = Bias();
    const Location bias_location =
        context_.NewConstant(bias.data(), bias.size() * sizeof(float));
    std::vector<Operand> operands = {
        Reads(DNNL_ARG_SRC_LAYER, source, spec_.source),
        Reads(DNNL_ARG_WEIGHTS_LAYER, weights, kernel.weights),
        Reads(DNNL_ARG_WEIGHTS_ITER, recurrence, kernel.recurrence),
        Reads(DNNL_ARG_BIAS, bias_location, spec_.bias)};
    if (!HasState()) return operands;
    LATHE_RETURN_IF_ERROR(AddState(kFirstState, DNNL_ARG_SRC_ITER, &operands));
    if (spec_.cell == Cell::kLstm) {
      LATHE_RETURN_IF_ERROR(
          AddState(kFirstCell, DNNL_ARG_SRC_ITER_C, &operands));
    }
    return operands;
  }

  // Zeros where the other state alone is given.
  absl::Status AddState(Input input, int argument,
                        std::vector<Operand>* operands) {
    const ValueId value = InputOf(node_, input);
    if (value == kNoValue) {
      const std::vector<char> zeros(DescBytes(spec_.first_state), 0);
      operands->push_back(
          Reads(argument, context_.NewConstant(zeros.data(), zeros.size()),
                spec_.first_state));
      return absl::OkStatus();
    }
    LATHE_ASSIGN_OR_RETURN(const Copy state, context_.FetchPlain(value));
    operands->push_back(Reads(argument, state, spec_.first_state));
    return absl::OkStatus();
  }

  // [steps, directions, batch, hidden], which oneDNN writes with directions
  // beside each other.
  void DefineAll(Copy all) {
    const ValueId value = OutputOf(node_, 0);
    if (value == kNoValue) return;
    const Shape& shape = context_.shape(value);
    const int64_t row = sizes_.directions * sizes_.hidden;
    all.desc =
        sizes_.directions == 1
            ? Float(shape)
            : StridedDesc(shape, {sizes_.batch * row, sizes_.hidden, row, 1},
                          DataType::kFloat32);
    context_.Define(value, all);
  }

  void DefineState(size_t output, Copy state) {
    const ValueId value = OutputOf(node_, output);
    if (value == kNoValue) return;
    state.desc = Float(context_.shape(value));
    context_.Define(value, state);
  }

  LoweringContext& context_;
  const Node& node_;
  RecurrentSizes sizes_;
  RecurrentSpec spec_;
};

}  // namespace

absl::StatusOr<bool> LowerRecurrent(LoweringContext& context,
                                    const Node& node) {
  if (!IsForOneDnn(context, node)) return false;
  if (node.precision == v1::INT8_DYNAMIC) {
    const int64_t steps = context.shape(node.inputs[kSource])[0];
    if (!HasFullLengths(context, node, steps)) return false;
    return LowerDynamicRecurrent(context, node);
  }
  return RecurrentLowering(context, node).Run();
}

}  // namespace lathe
