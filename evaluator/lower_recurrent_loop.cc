// LSTM, GRU and RNN as vector loops.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "evaluator/lower_recurrent.h"
#include "evaluator/recurrent_loop.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

std::optional<LoopActivation> ActivationOf(const std::string& name) {
  static const auto* known = new std::map<std::string, LoopActivation>{
      {"sigmoid", LoopActivation::kSigmoid},
      {"tanh", LoopActivation::kTanh},
      {"relu", LoopActivation::kRelu},
      {"softsign", LoopActivation::kSoftsign},
      {"softplus", LoopActivation::kSoftplus},
      {"hardsigmoid", LoopActivation::kHardSigmoid},
      {"leakyrelu", LoopActivation::kLeakyRelu},
      {"elu", LoopActivation::kElu}};
  const auto found = known->find(absl::AsciiStrToLower(name));
  if (found == known->end()) return std::nullopt;
  return found->second;
}

LoopCell CellOf(const Node& node) {
  if (node.op_type == "LSTM") return LoopCell::kLstm;
  if (node.op_type == "RNN") return LoopCell::kRnn;
  return node.IntOr("linear_before_reset", 0) != 0
             ? LoopCell::kLinearBeforeResetGru
             : LoopCell::kGru;
}

// None where activations are named that the loop does not know.
std::optional<LoopLayer> LayerOf(const Node& node, const RecurrentSizes& sizes,
                                 int64_t direction) {
  LoopLayer layer;
  layer.cell = CellOf(node);
  layer.inputs = sizes.inputs;
  layer.hidden = sizes.hidden;
  layer.has_peepholes = RecurrentValue(node.inputs, kPeepholes) != kNoValue;
  layer.clip = node.FloatOr("clip", layer.clip);
  if (layer.cell == LoopCell::kRnn) {
    layer.activations[0] = LoopActivation::kTanh;
  }
  const auto found = node.attributes.find("activations");
  if (found == node.attributes.end()) return layer;
  const auto* names = std::get_if<std::vector<std::string>>(&found->second);
  const size_t count = layer.cell == LoopCell::kLstm  ? 3
                       : layer.cell == LoopCell::kRnn ? 1
                                                      : 2;
  if (names == nullptr || names->size() < count * (direction + 1)) {
    return std::nullopt;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto activation = ActivationOf((*names)[direction * count + i]);
    if (!activation) return std::nullopt;
    layer.activations[i] = *activation;
  }
  return layer;
}

// What the loop needs besides its operands.
struct RecurrentPlan {
  RecurrentSizes sizes;
  std::vector<LoopLayer> layers;  // By direction.
  bool starts_reverse = false;
  bool has_lengths = false;
  bool has_state = false;
  bool has_cell = false;

  bool IsLstm() const { return layers[0].cell == LoopCell::kLstm; }
  int64_t StateFloats() const {
    return sizes.directions * sizes.batch * sizes.hidden;
  }

  // Operands: source; lengths, first state and first cell where they are given;
  // work; all states, last state and LSTM's last cell; the weights of each
  // direction.
  absl::Status operator()(absl::Span<char* const> operands) const {
    size_t next = 0;
    const auto take = [&] {
      return reinterpret_cast<float*>(operands[next++]);
    };
    const float* source = take();
    const auto* lengths =
        has_lengths ? reinterpret_cast<const int32_t*>(take()) : nullptr;
    const float* first_state = has_state ? take() : nullptr;
    const float* first_cell = has_cell ? take() : nullptr;
    float* work = take();
    float* all = take();
    float* state = take();
    float* cell = IsLstm() ? take() : nullptr;
    Start(first_state, state);
    if (cell != nullptr) Start(first_cell, cell);
    if (has_lengths) std::fill_n(all, sizes.steps * StateFloats(), 0.0f);
    for (int64_t d = 0; d < sizes.directions; ++d) {
      RecurrentRun run = RunOf(d);
      run.source = source;
      run.lengths = lengths;
      run.out = all + d * sizes.hidden;
      const int64_t at =
          d * sizes.hidden * (sizes.is_batch_first ? 1 : sizes.batch);
      run.state = state + at;
      run.cell = cell == nullptr ? nullptr : cell + at;
      RunRecurrent(layers[d], run, take(), work);
    }
    return absl::OkStatus();
  }

 private:
  void Start(const float* first, float* to) const {
    if (first == nullptr) {
      std::fill_n(to, StateFloats(), 0.0f);
    } else {
      std::copy_n(first, StateFloats(), to);
    }
  }

  RecurrentRun RunOf(int64_t direction) const {
    const RecurrentSizes& s = sizes;
    const int64_t row = s.directions * s.hidden;
    RecurrentRun run;
    run.steps = s.steps;
    run.batch = s.batch;
    run.is_reverse = starts_reverse || direction == 1;
    if (s.is_batch_first) {
      run.source_step = s.inputs;
      run.source_sample = s.steps * s.inputs;
      run.out_step = row;
      run.out_sample = s.steps * row;
      run.state_sample = row;
    } else {
      run.source_step = s.batch * s.inputs;
      run.source_sample = s.inputs;
      run.out_step = s.batch * row;
      run.out_sample = row;
      run.state_sample = s.hidden;
    }
    return run;
  }
};

// What ONNX has for direction `d`.
LoopWeights WeightsOf(const LoweringContext& context, const Node& node,
                      const RecurrentSizes& s, int64_t d) {
  const auto part = [&](RecurrentInput input, int64_t size) {
    const ValueId value = RecurrentValue(node.inputs, input);
    return value == kNoValue ? absl::Span<const float>()
                             : context.constant(value)->values<float>().subspan(
                                   d * size, size);
  };
  const int64_t rows = s.gates * s.hidden;
  return {part(kWeights, rows * s.inputs), part(kRecurrence, rows * s.hidden),
          part(kBias, 2 * rows), part(kPeepholes, 3 * s.hidden)};
}

bool IsFloatConstant(const LoweringContext& context, ValueId value) {
  const Tensor* tensor = context.constant(value);
  return tensor != nullptr && tensor->type() == DataType::kFloat32;
}

}  // namespace

bool IsForRecurrentLoop(const LoweringContext& context, const Node& node) {
  for (RecurrentInput input : {kWeights, kRecurrence}) {
    if (!IsFloatConstant(context, node.inputs[input])) return false;
  }
  for (RecurrentInput input : {kBias, kPeepholes}) {
    const ValueId value = RecurrentValue(node.inputs, input);
    if (value != kNoValue && !IsFloatConstant(context, value)) return false;
  }
  const RecurrentSizes sizes = SizesOfRecurrent(context, node);
  for (int64_t d = 0; d < sizes.directions; ++d) {
    if (!LayerOf(node, sizes, d)) return false;
  }
  return node.post_ops.empty() && node.IntOr("input_forget", 0) == 0 &&
         context.type(node.inputs[kSource]) == DataType::kFloat32;
}

absl::Status LowerRecurrentAsLoop(LoweringContext& context, const Node& node) {
  RecurrentPlan plan;
  plan.sizes = SizesOfRecurrent(context, node);
  const RecurrentSizes& s = plan.sizes;
  for (int64_t d = 0; d < s.directions; ++d) {
    plan.layers.push_back(*LayerOf(node, s, d));
  }
  plan.starts_reverse = node.StringOr("direction", "forward") == "reverse";
  std::vector<Operand> operands;
  const auto read = [&](RecurrentInput input) -> absl::StatusOr<bool> {
    const ValueId value = RecurrentValue(node.inputs, input);
    if (value == kNoValue) return false;
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(value));
    operands.push_back(Reads(copy));
    return true;
  };
  LATHE_RETURN_IF_ERROR(read(kSource).status());
  LATHE_ASSIGN_OR_RETURN(plan.has_lengths, read(kLengths));
  LATHE_ASSIGN_OR_RETURN(plan.has_state, read(kFirstState));
  LATHE_ASSIGN_OR_RETURN(plan.has_cell, read(kFirstCell));
  operands.push_back(
      {context.NewBuffer(RecurrentWorkFloats(plan.layers[0], s.steps, s.batch) *
                             static_cast<int64_t>(sizeof(float)),
                         /*is_persistent=*/false),
       /*is_written=*/true});
  const auto write = [&](const Shape& shape) {
    const Copy copy =
        context.NewCopy(FloatEncoding(), PlainDesc(shape, DataType::kFloat32));
    operands.push_back(Writes(copy));
    return copy;
  };
  const Copy all = write({s.steps, s.batch, s.directions * s.hidden});
  const Copy state = write({s.directions, s.batch, s.hidden});
  Copy cell;
  if (plan.IsLstm()) cell = write({s.directions, s.batch, s.hidden});
  for (int64_t d = 0; d < s.directions; ++d) {
    const std::vector<float> packed =
        PackRecurrent(plan.layers[d], WeightsOf(context, node, s, d));
    operands.push_back(
        {context.NewConstant(packed.data(), static_cast<int64_t>(
                                                packed.size() * sizeof(float))),
         /*is_written=*/false});
  }
  context.AddLoop(absl::AsciiStrToLower(node.op_type), VectorLoopIsa(),
                  std::move(operands), std::move(plan));
  DefineRecurrentStates(context, node, s, all);
  DefineLastState(context, node, 1, state);
  DefineLastState(context, node, 2, cell);
  return absl::OkStatus();
}

}  // namespace lathe
