// LSTM, GRU and RNN: which way, and as oneDNN's kernels.
#include "evaluator/lower_recurrent.h"

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
#include "evaluator/vector_math.h"

namespace lathe {
namespace {

using Cell = RecurrentSpec::Cell;

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
  for (RecurrentInput input : {kSource, kFirstState, kFirstCell}) {
    const ValueId value = RecurrentValue(node.inputs, input);
    if (value != kNoValue && context.type(value) != DataType::kFloat32) {
      return false;
    }
  }
  for (RecurrentInput input : {kWeights, kRecurrence}) {
    const Tensor* tensor = context.constant(RecurrentValue(node.inputs, input));
    if (tensor == nullptr || tensor->type() != DataType::kFloat32) return false;
  }
  const ValueId bias = RecurrentValue(node.inputs, kBias);
  return (bias == kNoValue || context.constant(bias) != nullptr) &&
         RecurrentValue(node.inputs, kPeepholes) == kNoValue &&
         node.post_ops.empty() && node.IntOr("layout", 0) == 0 &&
         node.IntOr("input_forget", 0) == 0;
}

class RecurrentLowering {
 public:
  RecurrentLowering(LoweringContext& context, const Node& node)
      : context_(context), node_(node) {
    sizes_ = SizesOfRecurrent(context, node);
    const bool is_lstm = node.op_type == "LSTM";
    if (!is_lstm) {
      spec_.cell = node.IntOr("linear_before_reset", 0) != 0
                       ? Cell::kLinearBeforeResetGru
                       : Cell::kGru;
    }
  }

  absl::StatusOr<bool> Run() {
    FillSpec();
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
    DefineRecurrentStates(context_, node_, sizes_, all);
    DefineLastState(context_, node_, 1, state);
    DefineLastState(context_, node_, 2, cell);
    return true;
  }

 private:
  static MemoryDesc Float(const Shape& shape) {
    return PlainDesc(shape, DataType::kFloat32);
  }
  bool HasState() const {
    return RecurrentValue(node_.inputs, kFirstState) != kNoValue ||
           RecurrentValue(node_.inputs, kFirstCell) != kNoValue;
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
  absl::StatusOr<Location> Weights(RecurrentInput input, int64_t columns,
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
    const Tensor* tensor =
        context_.constant(RecurrentValue(node_.inputs, kBias));
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
  absl::Status AddState(RecurrentInput input, int argument,
                        std::vector<Operand>* operands) {
    const ValueId value = RecurrentValue(node_.inputs, input);
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

  LoweringContext& context_;
  const Node& node_;
  RecurrentSizes sizes_;
  RecurrentSpec spec_;
};

// Than oneDNN, by measurement (executor_bench).
bool IsQuickAsLoop(const RecurrentSizes& sizes) {
  return sizes.batch == 1 || WidestVectorIsa() == VectorIsa::kAvx512;
}

}  // namespace

RecurrentSizes SizesOfRecurrent(const LoweringContext& context,
                                const Node& node) {
  const Shape& source = context.shape(node.inputs[kSource]);
  const Shape& recurrence = context.shape(node.inputs[kRecurrence]);
  RecurrentSizes sizes = {source[0],     source[1],     source[2],
                          recurrence[2], recurrence[0], 0};
  sizes.is_batch_first = node.IntOr("layout", 0) != 0;
  if (sizes.is_batch_first) std::swap(sizes.steps, sizes.batch);
  sizes.gates = recurrence[1] / recurrence[2];
  return sizes;
}

bool HasFullLengths(const LoweringContext& context, const Node& node) {
  const ValueId lengths = RecurrentValue(node.inputs, kLengths);
  if (lengths == kNoValue) return true;
  const Tensor* tensor = context.constant(lengths);
  if (tensor == nullptr || tensor->type() != DataType::kInt32) return false;
  const auto values = tensor->values<int32_t>();
  const int64_t steps = SizesOfRecurrent(context, node).steps;
  return std::all_of(values.begin(), values.end(),
                     [steps](int32_t length) { return length == steps; });
}

void DefineRecurrentStates(LoweringContext& context, const Node& node,
                           const RecurrentSizes& sizes, Copy copy) {
  const ValueId value = RecurrentValue(node.outputs, 0);
  if (value == kNoValue) return;
  const Shape& shape = context.shape(value);
  const int64_t row = sizes.directions * sizes.hidden;
  // Where steps come first, ONNX has the directions in front of the samples.
  copy.desc =
      sizes.directions == 1 || sizes.is_batch_first
          ? PlainDesc(shape, DataType::kFloat32)
          : StridedDesc(shape, {sizes.batch * row, sizes.hidden, row, 1},
                        DataType::kFloat32);
  context.Define(value, copy);
}

void DefineLastState(LoweringContext& context, const Node& node, size_t index,
                     Copy copy) {
  const ValueId value = RecurrentValue(node.outputs, index);
  if (value == kNoValue) return;
  copy.desc = PlainDesc(context.shape(value), DataType::kFloat32);
  context.Define(value, copy);
}

absl::StatusOr<bool> LowerRecurrent(LoweringContext& context,
                                    const Node& node) {
  const bool is_for_kernel = node.op_type != "RNN" &&
                             IsForOneDnn(context, node) &&
                             HasFullLengths(context, node);
  if (node.precision == v1::INT8_DYNAMIC) {
    return is_for_kernel ? LowerDynamicRecurrent(context, node)
                         : absl::StatusOr<bool>(false);
  }
  const bool is_for_loop = IsForRecurrentLoop(context, node);
  if (is_for_kernel &&
      !(is_for_loop && IsQuickAsLoop(SizesOfRecurrent(context, node)))) {
    const auto is_done = RecurrentLowering(context, node).Run();
    if (is_done.ok() && *is_done) return true;
  }
  if (!is_for_loop) return false;
  LATHE_RETURN_IF_ERROR(LowerRecurrentAsLoop(context, node));
  return true;
}

}  // namespace lathe
