// LSTM, GRU and RNN, step by step.
//
// Shapes: X [steps, batch, inputs], W [directions, gates * hidden, inputs],
// R [directions, gates * hidden, hidden], B [directions, 2 * gates * hidden],
// states [directions, batch, hidden], Y [steps, directions, batch, hidden].
// With layout 1 the batch comes first: X [batch, steps, inputs], states
// [batch, directions, hidden], Y [batch, steps, directions, hidden].
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/reference_ops.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// Where the inputs of the three operators stand.
constexpr int kWeights = 1;
constexpr int kRecurrence = 2;
constexpr int kBias = 3;
constexpr int kLengths = 4;
constexpr int kHidden = 5;
constexpr int kCell = 6;
constexpr int kPeephole = 7;

struct Sizes {
  int64_t gates = 1;
  int64_t steps = 0;
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t directions = 1;
  bool is_batch_first = false;
};

int64_t GatesOf(const std::string& op_type) {
  return op_type == "LSTM" ? 4 : op_type == "GRU" ? 3 : 1;
}

absl::StatusOr<Sizes> ResolveSizes(const OpCall& call) {
  Sizes s;
  s.gates = GatesOf(call.node().op_type);
  s.is_batch_first = call.node().IntOr("layout", 0) != 0;
  const std::string direction = call.node().StringOr("direction", "forward");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional") {
    return call.Invalid(absl::StrCat("direction = \"", direction, "\""));
  }
  s.directions = direction == "bidirectional" ? 2 : 1;
  if (call.Rank(0) != 3 || call.Rank(kRecurrence) != 3) {
    return call.Invalid("inputs 0 and 2 do not have three dimensions");
  }
  s.steps = call.ShapeOf(0)[s.is_batch_first ? 1 : 0];
  s.batch = call.ShapeOf(0)[s.is_batch_first ? 0 : 1];
  s.inputs = call.ShapeOf(0)[2];
  s.hidden = call.ShapeOf(kRecurrence)[2];
  return s;
}

absl::Status CheckShape(const OpCall& call, int i, const Shape& shape) {
  if (!call.Has(i) || call.ShapeOf(i) == shape) return absl::OkStatus();
  return call.Invalid(absl::StrCat("input ", i, " of shape ",
                                   ShapeToString(call.ShapeOf(i)), ", not ",
                                   ShapeToString(shape)));
}

using Activation = double (*)(double);

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct NamedActivation {
  const char* name;
  Activation function;
};

// Those without parameters, and those whose parameters have their defaults.
constexpr NamedActivation kActivations[] = {
    {"sigmoid", Sigmoid},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"relu", [](double x) { return x > 0 ? x : 0.0; }},
    {"softsign", [](double x) { return x / (1 + std::abs(x)); }},
    {"softplus", [](double x) { return std::log1p(std::exp(x)); }},
    {"hardsigmoid",
     [](double x) { return std::min(std::max(0.2 * x + 0.5, 0.0), 1.0); }},
    {"leakyrelu", [](double x) { return x < 0 ? 0.01 * x : x; }},
    {"elu", [](double x) { return x < 0 ? std::expm1(x) : x; }},
};

// Activations of one direction: of the gates, of the cell (GRU: the new state),
// of the output.
using Activations = std::array<Activation, 3>;

absl::StatusOr<Activation> FindActivation(const OpCall& call,
                                          const std::string& name) {
  for (const NamedActivation& known : kActivations) {
    if (absl::AsciiStrToLower(name) == known.name) return known.function;
  }
  return call.Unsupported(
      absl::StrCat("activation ", name,
                   "; use Sigmoid, Tanh, Relu, Softsign, Softplus, "
                   "HardSigmoid, LeakyRelu or Elu"));
}

absl::StatusOr<Activations> ActivationsOf(const OpCall& call,
                                          int64_t direction) {
  const auto tanh = kActivations[1].function;
  Activations activations = {Sigmoid, tanh, tanh};
  if (call.node().op_type == "RNN") activations[0] = tanh;
  const auto found = call.node().attributes.find("activations");
  if (found == call.node().attributes.end()) return activations;
  const auto* names = std::get_if<std::vector<std::string>>(&found->second);
  const size_t count = call.node().op_type == "LSTM"  ? 3
                       : call.node().op_type == "GRU" ? 2
                                                      : 1;
  if (names == nullptr || names->size() < count * (direction + 1)) {
    return call.Invalid(
        absl::StrCat("activations do not name ", count, " for each direction"));
  }
  for (size_t i = 0; i < count; ++i) {
    LATHE_ASSIGN_OR_RETURN(
        activations[i], FindActivation(call, (*names)[direction * count + i]));
  }
  return activations;
}

absl::Status CheckAttributes(const OpCall& call, int64_t directions) {
  for (const char* name : {"activation_alpha", "activation_beta"}) {
    if (!call.HasAttribute(name)) continue;
    return call.Unsupported(absl::StrCat(name, "; only the defaults do"));
  }
  if (call.node().IntOr("input_forget", 0) != 0) {
    return call.Unsupported("input_forget = 1; only 0 is supported");
  }
  for (int64_t direction = 0; direction < directions; ++direction) {
    LATHE_RETURN_IF_ERROR(ActivationsOf(call, direction).status());
  }
  return absl::OkStatus();
}

Shape StateShape(const Sizes& s) {
  if (s.is_batch_first) return {s.batch, s.directions, s.hidden};
  return {s.directions, s.batch, s.hidden};
}

absl::StatusOr<Values> RecurrentRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Sizes s, ResolveSizes(call));
  LATHE_RETURN_IF_ERROR(CheckAttributes(call, s.directions));
  for (int i = 0; i < call.InputCount(); ++i) {
    const DataType expected =
        i == kLengths ? DataType::kInt32 : DataType::kFloat32;
    if (call.Has(i) && call.TypeOf(i) != expected) {
      return call.Unsupported(absl::StrCat("input ", i, " is ",
                                           DataTypeName(call.TypeOf(i)),
                                           ", not ", DataTypeName(expected)));
    }
  }
  const int64_t rows = s.gates * s.hidden;
  LATHE_RETURN_IF_ERROR(
      CheckShape(call, kWeights, {s.directions, rows, s.inputs}));
  LATHE_RETURN_IF_ERROR(
      CheckShape(call, kRecurrence, {s.directions, rows, s.hidden}));
  LATHE_RETURN_IF_ERROR(CheckShape(call, kBias, {s.directions, 2 * rows}));
  LATHE_RETURN_IF_ERROR(CheckShape(call, kLengths, {s.batch}));
  LATHE_RETURN_IF_ERROR(CheckShape(call, kHidden, StateShape(s)));
  LATHE_RETURN_IF_ERROR(CheckShape(call, kCell, StateShape(s)));
  LATHE_RETURN_IF_ERROR(
      CheckShape(call, kPeephole, {s.directions, 3 * s.hidden}));
  if (call.node().IntOr("hidden_size", s.hidden) != s.hidden) {
    return call.Invalid("hidden_size does not fit the weights");
  }
  Shape all = {s.steps, s.directions, s.batch, s.hidden};
  if (s.is_batch_first) all = {s.batch, s.steps, s.directions, s.hidden};
  Values outputs = {{DataType::kFloat32, all},
                    {DataType::kFloat32, StateShape(s)}};
  if (s.gates == 4) outputs.push_back({DataType::kFloat32, StateShape(s)});
  return outputs;
}

// The weights of one direction.
struct Cell {
  const float* weights = nullptr;
  const float* recurrence = nullptr;
  const float* bias = nullptr;      // Null when there is none.
  const float* peephole = nullptr;  // Null when there is none.
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t rows = 0;
  Activations activations;
  // Whether states are rounded before they meet the weights.
  bool is_dynamic = false;
  // What activations take is clipped to [-clip, clip].
  double clip = std::numeric_limits<double>::infinity();

  double Gate(double x) const { return Activate(0, x); }
  double Fresh(double x) const { return Activate(1, x); }
  double Activate(int which, double x) const {
    return activations[which](std::min(std::max(x, -clip), clip));
  }

  // The state as the weights see it.
  std::vector<double> Seen(std::vector<double> h) const {
    if (!is_dynamic) return h;
    for (double& x : h) x = ApplyGrid(kStateGrid, static_cast<float>(x));
    return h;
  }

  double FromInput(const float* x, int64_t row) const {
    double sum = bias == nullptr ? 0.0 : bias[row];
    for (int64_t i = 0; i < inputs; ++i) {
      sum += static_cast<double>(weights[row * inputs + i]) * x[i];
    }
    return sum;
  }
  double FromState(const std::vector<double>& h, int64_t row) const {
    double sum = bias == nullptr ? 0.0 : bias[rows + row];
    for (int64_t i = 0; i < hidden; ++i) {
      sum += recurrence[row * hidden + i] * h[i];
    }
    return sum;
  }
};

// The state of one sample in one direction.
struct State {
  std::vector<double> h;
  std::vector<double> c;
};

// Gates i, o, f, c.
void StepLstm(const Cell& cell, const float* x, State& state) {
  const int64_t n = cell.hidden;
  const float* p = cell.peephole;
  const std::vector<double> h = cell.Seen(state.h);
  for (int64_t k = 0; k < n; ++k) {
    const auto gate = [&](int64_t g) {
      return cell.FromInput(x, g * n + k) + cell.FromState(h, g * n + k);
    };
    const double past = state.c[k];
    const double in = cell.Gate(gate(0) + (p == nullptr ? 0 : p[k] * past));
    const double forget =
        cell.Gate(gate(2) + (p == nullptr ? 0 : p[2 * n + k] * past));
    state.c[k] = forget * past + in * cell.Fresh(gate(3));
    const double out =
        cell.Gate(gate(1) + (p == nullptr ? 0 : p[n + k] * state.c[k]));
    state.h[k] = out * cell.activations[2](state.c[k]);
  }
}

// Gates z, r, h. With `linear_before_reset` the reset gate scales what the
// recurrence gives; else it scales the state before.
void StepGru(const Cell& cell, bool linear_before_reset, const float* x,
             State& state) {
  const int64_t n = cell.hidden;
  const std::vector<double> past = state.h;
  const std::vector<double> h = cell.Seen(past);
  std::vector<double> reset(n);
  std::vector<double> reset_h(n);
  for (int64_t k = 0; k < n; ++k) {
    reset[k] = cell.Gate(cell.FromInput(x, n + k) + cell.FromState(h, n + k));
    reset_h[k] = reset[k] * past[k];
  }
  reset_h = cell.Seen(std::move(reset_h));
  for (int64_t k = 0; k < n; ++k) {
    const double update =
        cell.Gate(cell.FromInput(x, k) + cell.FromState(h, k));
    const double recurrence = linear_before_reset
                                  ? reset[k] * cell.FromState(h, 2 * n + k)
                                  : cell.FromState(reset_h, 2 * n + k);
    const double fresh = cell.Fresh(cell.FromInput(x, 2 * n + k) + recurrence);
    state.h[k] = (1 - update) * fresh + update * past[k];
  }
}

void StepRnn(const Cell& cell, const float* x, State& state) {
  const std::vector<double> h = state.h;
  for (int64_t k = 0; k < cell.hidden; ++k) {
    state.h[k] = cell.Gate(cell.FromInput(x, k) + cell.FromState(h, k));
  }
}

Cell CellOf(const OpCall& call, const Sizes& s, int64_t direction) {
  const int64_t rows = s.gates * s.hidden;
  Cell cell;
  cell.inputs = s.inputs;
  cell.hidden = s.hidden;
  cell.rows = rows;
  cell.is_dynamic = call.node().precision == v1::INT8_DYNAMIC;
  cell.activations = *ActivationsOf(call, direction);
  if (call.HasAttribute("clip")) cell.clip = call.node().FloatOr("clip", 0);
  cell.weights =
      call.ValuesOf<float>(kWeights).data() + direction * rows * s.inputs;
  cell.recurrence =
      call.ValuesOf<float>(kRecurrence).data() + direction * rows * s.hidden;
  if (call.Has(kBias)) {
    cell.bias = call.ValuesOf<float>(kBias).data() + direction * 2 * rows;
  }
  if (call.Has(kPeephole)) {
    cell.peephole =
        call.ValuesOf<float>(kPeephole).data() + direction * 3 * s.hidden;
  }
  return cell;
}

int64_t StateOffset(const Sizes& s, int64_t direction, int64_t sample) {
  return s.hidden * (s.is_batch_first ? sample * s.directions + direction
                                      : direction * s.batch + sample);
}

std::vector<double> InitialState(const OpCall& call, const Sizes& s, int input,
                                 int64_t offset) {
  if (!call.Has(input)) return std::vector<double>(s.hidden, 0.0);
  const float* first = call.ValuesOf<float>(input).data() + offset;
  return std::vector<double>(first, first + s.hidden);
}

class Runner {
 public:
  Runner(const OpCall& call, const Sizes& sizes, const Values& outputs)
      : call_(call),
        s_(sizes),
        all_(outputs[0]),
        last_(outputs[1]),
        last_cell_(outputs.back()) {}

  // One sample in one direction.
  void Run(int64_t direction, int64_t sample) {
    const Cell cell = CellOf(call_, s_, direction);
    const int64_t offset = StateOffset(s_, direction, sample);
    State state{InitialState(call_, s_, kHidden, offset),
                InitialState(call_, s_, kCell, offset)};
    const bool is_reverse =
        direction == 1 ||
        call_.node().StringOr("direction", "forward") == "reverse";
    const int64_t length = LengthOf(sample);
    for (int64_t i = 0; i < length; ++i) {
      const int64_t step = is_reverse ? length - 1 - i : i;
      Step(cell, InputAt(step, sample), state);
      Store(state.h, all_.data() + OutputOffset(step, direction, sample));
    }
    Store(state.h, last_.data() + offset);
    Store(state.c, last_cell_.data() + offset);
  }

  Tensors Finish() && {
    Tensors tensors;
    tensors.push_back(std::move(all_).Build());
    tensors.push_back(std::move(last_).Build());
    if (s_.gates == 4) tensors.push_back(std::move(last_cell_).Build());
    return tensors;
  }

 private:
  int64_t LengthOf(int64_t sample) const {
    if (!call_.Has(kLengths)) return s_.steps;
    const int64_t length = call_.ValuesOf<int32_t>(kLengths)[sample];
    return std::min(std::max<int64_t>(length, 0), s_.steps);
  }
  const float* InputAt(int64_t step, int64_t sample) const {
    const int64_t row =
        s_.is_batch_first ? sample * s_.steps + step : step * s_.batch + sample;
    return call_.ValuesOf<float>(0).data() + row * s_.inputs;
  }
  int64_t OutputOffset(int64_t step, int64_t direction, int64_t sample) const {
    const int64_t row =
        s_.is_batch_first
            ? (sample * s_.steps + step) * s_.directions + direction
            : (step * s_.directions + direction) * s_.batch + sample;
    return row * s_.hidden;
  }
  void Step(const Cell& cell, const float* x, State& state) const {
    if (s_.gates == 4) return StepLstm(cell, x, state);
    if (s_.gates == 1) return StepRnn(cell, x, state);
    StepGru(cell, call_.node().IntOr("linear_before_reset", 0) != 0, x, state);
  }
  static void Store(const std::vector<double>& values, float* out) {
    std::transform(values.begin(), values.end(), out,
                   [](double value) { return static_cast<float>(value); });
  }

  const OpCall& call_;
  const Sizes& s_;
  TensorBuilder<float> all_;
  TensorBuilder<float> last_;
  TensorBuilder<float> last_cell_;
};

absl::StatusOr<Tensors> RecurrentKernel(const OpCall& call,
                                        const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Sizes sizes, ResolveSizes(call));
  Runner runner(call, sizes, outputs);
  for (int64_t direction = 0; direction < sizes.directions; ++direction) {
    for (int64_t sample = 0; sample < sizes.batch; ++sample) {
      runner.Run(direction, sample);
    }
  }
  return std::move(runner).Finish();
}

}  // namespace

absl::Span<const OperatorDef> RecurrentOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"LSTM", 3, 8, OpTypes::kFirstFloat32, RecurrentRule, RecurrentKernel,
       true},
      {"GRU", 3, 6, OpTypes::kFirstFloat32, RecurrentRule, RecurrentKernel,
       true},
      {"RNN", 3, 6, OpTypes::kFirstFloat32, RecurrentRule, RecurrentKernel,
       true},
  };
  return kOperators;
}

}  // namespace lathe
