// LSTM and GRU in INT8_DYNAMIC.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "evaluator/level_products.h"
#include "evaluator/level_recurrent.h"
#include "evaluator/lower_dynamic.h"

namespace lathe {
namespace {

// ONNX's inputs.
constexpr size_t kBias = 3;
constexpr size_t kFirstState = 5;
constexpr size_t kFirstCell = 6;

struct Sizes {
  int64_t steps = 0;
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t directions = 1;
};

ValueId At(const std::vector<ValueId>& values, size_t index) {
  return index < values.size() ? values[index] : kNoValue;
}

LevelCell CellOf(const Node& node) {
  if (node.op_type == "LSTM") return LevelCell::kLstm;
  return node.IntOr("linear_before_reset", 0) != 0
             ? LevelCell::kLinearBeforeResetGru
             : LevelCell::kGru;
}

// What the loop needs besides its operands.
struct LoopPlan {
  Sizes sizes;
  bool starts_reverse = false;
  bool has_state = false;
  bool has_cell = false;
  bool is_lstm = false;
  std::vector<LevelRecurrentWeights> weights;  // By direction.

  // Operands: source, its levels, work, all states, last state and cell (LSTM),
  // first state and cell where they are given, then of each direction the
  // weights' and the recurrence's levels.
  absl::Status operator()(absl::Span<char* const> operands) const {
    size_t next = 0;
    const auto take = [&] { return operands[next++]; };
    const auto floats = [&] { return reinterpret_cast<float*>(take()); };
    const Sizes& s = sizes;
    const float* source = floats();
    uint8_t* levels = reinterpret_cast<uint8_t*>(take());
    char* work = take();
    float* all = floats();
    float* state = floats();
    float* cell = is_lstm ? floats() : nullptr;
    const int64_t states = s.directions * s.batch * s.hidden;
    Start(has_state ? floats() : nullptr, states, state);
    if (is_lstm) Start(has_cell ? floats() : nullptr, states, cell);
    LevelRecurrentRun run;
    run.steps = s.steps;
    run.source_stride = s.batch * s.inputs;
    run.grid = TakeOwnLevels(source, s.steps * s.batch * s.inputs, levels);
    run.out_stride = states;
    for (int64_t d = 0; d < s.directions; ++d) {
      const LevelRecurrentWeights& w = weights[d];
      run.is_reverse = starts_reverse || d == 1;
      const LevelsView weight_levels = View(w.weights, take());
      const LevelsView recurrence_levels = View(w.recurrence, take());
      for (int64_t n = 0; n < s.batch; ++n) {
        const int64_t at = (d * s.batch + n) * s.hidden;
        run.source = levels + n * s.inputs;
        run.out = all + at;
        run.state = state + at;
        run.cell = is_lstm ? cell + at : nullptr;
        RunLevelRecurrent(run, w, weight_levels, recurrence_levels, work);
      }
    }
    return absl::OkStatus();
  }

 private:
  static void Start(const float* first, int64_t size, float* to) {
    if (first == nullptr) {
      std::fill_n(to, size, 0.0f);
    } else {
      std::copy_n(first, size, to);
    }
  }
  static LevelsView View(const PackedLevels& packed, const char* bytes) {
    return {reinterpret_cast<const int8_t*>(bytes), packed.blocks(),
            packed.groups()};
  }
};

class DynamicRecurrentLowering {
 public:
  DynamicRecurrentLowering(LoweringContext& context, const Node& node)
      : context_(context), node_(node) {
    const Shape& source = context.shape(node.inputs[0]);
    const Shape& recurrence = context.shape(node.inputs[2]);
    plan_.sizes = {source[0], source[1], source[2], recurrence[2],
                   recurrence[0]};
    plan_.is_lstm = node.op_type == "LSTM";
    plan_.starts_reverse = node.StringOr("direction", "forward") == "reverse";
    plan_.has_state = At(node.inputs, kFirstState) != kNoValue;
    plan_.has_cell = At(node.inputs, kFirstCell) != kNoValue;
  }

  absl::Status Run() {
    const Sizes& s = plan_.sizes;
    for (int64_t d = 0; d < s.directions; ++d) {
      plan_.weights.push_back(PackLevelRecurrent(Given(d)));
    }
    LATHE_ASSIGN_OR_RETURN(const Copy source,
                           context_.FetchPlain(node_.inputs[0]));
    const auto scratch = [this](int64_t bytes) {
      return Operand{context_.NewBuffer(bytes, /*is_persistent=*/false),
                     /*is_written=*/true};
    };
    std::vector<Operand> operands = {
        Reads(source), scratch(s.steps * s.batch * s.inputs),
        scratch(LevelRecurrentWorkBytes(plan_.weights[0]))};
    const Shape state = {s.directions, s.batch, s.hidden};
    AddOutput(0, {s.steps, s.directions, s.batch, s.hidden}, &operands);
    AddOutput(1, state, &operands);
    if (plan_.is_lstm) AddOutput(2, state, &operands);
    for (const size_t input : {kFirstState, kFirstCell}) {
      if (At(node_.inputs, input) == kNoValue) continue;
      LATHE_ASSIGN_OR_RETURN(const Copy first,
                             context_.FetchPlain(node_.inputs[input]));
      operands.push_back(Reads(first));
    }
    for (const LevelRecurrentWeights& w : plan_.weights) {
      for (const PackedLevels* packed : {&w.weights, &w.recurrence}) {
        operands.push_back({context_.NewConstant(packed->bytes().data(),
                                                 packed->bytes().size()),
                            /*is_written=*/false});
      }
    }
    // A Loop is copied; the weights are not.
    const auto plan = std::make_shared<const LoopPlan>(std::move(plan_));
    context_.AddLoop(node_.op_type == "LSTM" ? "lstm" : "gru",
                     HasLevelProducts() ? "levels:vnni" : "levels:plain",
                     std::move(operands), [plan](absl::Span<char* const> at) {
                       return (*plan)(at);
                     });
    for (const auto& [value, copy] : outputs_) context_.Define(value, copy);
    return absl::OkStatus();
  }

 private:
  OnnxRecurrent Given(int64_t d) const {
    const Sizes& s = plan_.sizes;
    const QuantizedWeights& w = *node_.quantized_weights;
    const QuantizedWeights& r = *node_.quantized_recurrence;
    const int64_t rows = (plan_.is_lstm ? 4 : 3) * s.hidden;
    OnnxRecurrent given;
    given.cell = CellOf(node_);
    given.inputs = s.inputs;
    given.hidden = s.hidden;
    given.weights = w.levels.data() + d * rows * s.inputs;
    given.recurrence = r.levels.data() + d * rows * s.hidden;
    given.weight_scales = w.scales;
    given.recurrence_scales = r.scales;
    if (const ValueId bias = At(node_.inputs, kBias); bias != kNoValue) {
      given.bias = context_.constant(bias)->values<float>().subspan(
          d * 2 * rows, 2 * rows);
    }
    return given;
  }

  void AddOutput(size_t index, const Shape& shape,
                 std::vector<Operand>* operands) {
    const Copy copy =
        context_.NewCopy(FloatEncoding(), PlainDesc(shape, DataType::kFloat32));
    operands->push_back(Writes(copy));
    const ValueId value = At(node_.outputs, index);
    if (value != kNoValue) outputs_.emplace_back(value, copy);
  }

  LoweringContext& context_;
  const Node& node_;
  LoopPlan plan_;
  std::vector<std::pair<ValueId, Copy>> outputs_;
};

}  // namespace

absl::StatusOr<bool> LowerDynamicRecurrent(LoweringContext& context,
                                           const Node& node) {
  if (!node.quantized_weights || !node.quantized_recurrence) return false;
  LATHE_RETURN_IF_ERROR(DynamicRecurrentLowering(context, node).Run());
  return true;
}

}  // namespace lathe
