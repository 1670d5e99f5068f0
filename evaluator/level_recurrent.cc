#include "evaluator/level_recurrent.h"

#include <algorithm>
#include <cstring>

#include "compressor/dynamic_grid.h"
#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// Level of state 0 as MultiplyLevels, which wants no sign, reads it.
constexpr int32_t kStateZero = 128;

typedef uint8_t StateBytes __attribute__((vector_size(kWidth)));

int64_t Padded(int64_t hidden) {
  return (hidden + kWidth - 1) / kWidth * kWidth;
}

int64_t GatesOf(LevelCell cell) { return cell == LevelCell::kLstm ? 4 : 3; }

// The memory that a run works in.
struct Work {
  float* input_part = nullptr;  // By padded row.
  float* state_part = nullptr;
  int32_t* sums = nullptr;
  float* now = nullptr;  // The state, Padded(hidden).
  float* cell = nullptr;
  float* reset_state = nullptr;
  uint8_t* inputs = nullptr;
  uint8_t* levels = nullptr;
};

// Numbers of 4 bytes for all but `inputs` and `levels`.
int64_t WorkFloats(const LevelRecurrentWeights& w) {
  return 3 * w.weights.padded_rows() + 3 * Padded(w.hidden);
}

Work LayOut(const LevelRecurrentWeights& w, char* memory) {
  const int64_t rows = w.weights.padded_rows();
  const int64_t hidden = Padded(w.hidden);
  Work work;
  float* at = reinterpret_cast<float*>(memory);
  work.input_part = at;
  work.state_part = at + rows;
  work.sums = reinterpret_cast<int32_t*>(at + 2 * rows);
  work.now = at + 3 * rows;
  work.cell = work.now + hidden;
  work.reset_state = work.cell + hidden;
  work.levels = reinterpret_cast<uint8_t*>(at + WorkFloats(w));
  work.inputs = work.levels + Padded(w.recurrence.padded_columns());
  return work;
}

// The states' levels; what fills up gets that of 0.
[[gnu::always_inline]] inline void StateLevels(const float* state, int64_t size,
                                               uint8_t* levels) {
  Floats x;
  for (int64_t i = 0; i < size; i += kWidth) {
    Load(state + i, x);
    x /= kStateGrid.scale;
    x = x == x ? x : Floats{};
    x = x < -128.0f ? Floats{} - 128.0f : x;
    x = x > 127.0f ? Floats{} + 127.0f : x;
    x += kRounder;
    Ints level;
    SameBits(x, level);
    level += kStateZero - kRounderBits;
    const StateBytes bytes = __builtin_convertvector(level, StateBytes);
    std::memcpy(levels + i, &bytes, sizeof(bytes));
  }
}

// part = bias + scales * sums, row by row.
[[gnu::always_inline]] inline void Worth(const int32_t* sums,
                                         const float* scales, const float* bias,
                                         int64_t rows, float* part) {
  for (int64_t r = 0; r < rows; r += kWidth) {
    Ints sum;
    std::memcpy(&sum, sums + r, sizeof(sum));
    Floats scale;
    Floats offset;
    Load(scales + r, scale);
    Load(bias + r, offset);
    offset += scale * __builtin_convertvector(sum, Floats);
    Store(offset, part + r);
  }
}

[[gnu::always_inline]] inline void GateOf(const Work& work, int64_t row,
                                          Floats& gate) {
  Floats state;
  Load(work.input_part + row, gate);
  Load(work.state_part + row, state);
  gate += state;
}

[[gnu::always_inline]] inline void FinishLstm(const Work& work,
                                              int64_t hidden) {
  for (int64_t u = 0; u < hidden; u += kWidth) {
    Floats input;
    Floats output;
    Floats forget;
    Floats fresh;
    GateOf(work, u, input);
    GateOf(work, hidden + u, output);
    GateOf(work, 2 * hidden + u, forget);
    GateOf(work, 3 * hidden + u, fresh);
    Sigmoid(input);
    Sigmoid(output);
    Sigmoid(forget);
    Tanh(fresh);
    Floats cell;
    Load(work.cell + u, cell);
    cell = forget * cell + input * fresh;
    Store(cell, work.cell + u);
    Tanh(cell);
    cell *= output;
    Store(cell, work.now + u);
  }
}

// reset_state = reset gate * state.
[[gnu::always_inline]] inline void ResetStates(const Work& work,
                                               int64_t hidden) {
  for (int64_t u = 0; u < hidden; u += kWidth) {
    Floats reset;
    Floats state;
    GateOf(work, hidden + u, reset);
    Sigmoid(reset);
    Load(work.now + u, state);
    reset *= state;
    Store(reset, work.reset_state + u);
  }
}

[[gnu::always_inline]] inline void FinishGru(const Work& work, int64_t hidden,
                                             bool is_linear_before_reset) {
  for (int64_t u = 0; u < hidden; u += kWidth) {
    Floats update;
    Floats fresh;
    Floats from_state;
    Floats state;
    GateOf(work, u, update);
    Sigmoid(update);
    Load(work.input_part + 2 * hidden + u, fresh);
    Load(work.state_part + 2 * hidden + u, from_state);
    if (is_linear_before_reset) {
      Floats reset;
      GateOf(work, hidden + u, reset);
      Sigmoid(reset);
      from_state *= reset;
    }
    fresh += from_state;
    Tanh(fresh);
    Load(work.now + u, state);
    state = (1.0f - update) * fresh + update * state;
    Store(state, work.now + u);
  }
}

// What one direction is made of, seen by a step.
struct Cell {
  const LevelRecurrentWeights& w;
  const LevelsView& weights;
  const LevelsView& recurrence;
  const float* input_scales;  // With the input's scale.
  const float* input_bias;    // With what the input's zero point adds.
};

[[gnu::always_inline]] inline void StepBody(const Cell& cell,
                                            const uint8_t* source,
                                            const Work& work) {
  const LevelRecurrentWeights& w = cell.w;
  const int64_t rows = w.weights.padded_rows();
  const int64_t hidden = Padded(w.hidden);
  MultiplyLevels(source, cell.weights, work.sums);
  Worth(work.sums, cell.input_scales, cell.input_bias, rows, work.input_part);
  StateLevels(work.now, hidden, work.levels);
  MultiplyLevels(work.levels, cell.recurrence, work.sums);
  Worth(work.sums, w.state_scales.data(), w.state_bias.data(), rows,
        work.state_part);
  if (w.cell == LevelCell::kLstm) return FinishLstm(work, hidden);
  const bool is_linear_before_reset =
      w.cell == LevelCell::kLinearBeforeResetGru;
  if (!is_linear_before_reset) {
    // The candidate's product waits for the reset gate.
    ResetStates(work, hidden);
    StateLevels(work.reset_state, hidden, work.levels);
    const int64_t first = 2 * hidden;
    const int64_t blocks = first / kWidth;
    const LevelsView candidate = {
        cell.recurrence.bytes + blocks * cell.recurrence.groups * 4 * kWidth,
        cell.recurrence.blocks - blocks, cell.recurrence.groups};
    MultiplyLevels(work.levels, candidate, work.sums);
    Worth(work.sums, w.state_scales.data() + first, w.state_bias.data() + first,
          rows - first, work.state_part + first);
  }
  FinishGru(work, hidden, is_linear_before_reset);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
StepAvx512(const Cell& cell, const uint8_t* source, const Work& work) {
  StepBody(cell, source, work);
}
__attribute__((target("avx2,fma"))) void StepAvx2(const Cell& cell,
                                                  const uint8_t* source,
                                                  const Work& work) {
  StepBody(cell, source, work);
}
void StepPlain(const Cell& cell, const uint8_t* source, const Work& work) {
  StepBody(cell, source, work);
}

// [gates * hidden, columns] with each gate's rows filled up.
PackedLevels PackGates(const int8_t* levels, int64_t gates, int64_t hidden,
                       int64_t columns) {
  const int64_t padded = Padded(hidden);
  std::vector<int8_t> spread(gates * padded * columns, 0);
  for (int64_t g = 0; g < gates; ++g) {
    std::copy_n(levels + g * hidden * columns, hidden * columns,
                spread.data() + g * padded * columns);
  }
  return PackedLevels(spread.data(), gates * padded, columns, columns, 1);
}

}  // namespace

LevelRecurrentWeights PackLevelRecurrent(const OnnxRecurrent& given) {
  const int64_t gates = GatesOf(given.cell);
  const int64_t hidden = given.hidden;
  const int64_t padded = Padded(hidden);
  LevelRecurrentWeights w;
  w.cell = given.cell;
  w.inputs = given.inputs;
  w.hidden = hidden;
  w.weights = PackGates(given.weights, gates, hidden, given.inputs);
  w.recurrence = PackGates(given.recurrence, gates, hidden, hidden);
  const int64_t rows = gates * padded;
  for (std::vector<float>* numbers :
       {&w.weight_scales, &w.state_scales, &w.weight_sums, &w.input_bias,
        &w.state_bias}) {
    numbers->assign(rows, 0);
  }
  const auto of = [](absl::Span<const float> scales, int64_t row) {
    return scales[scales.size() == 1 ? 0 : row];
  };
  for (int64_t g = 0; g < gates; ++g) {
    for (int64_t u = 0; u < hidden; ++u) {
      const int64_t from = g * hidden + u;
      const int64_t to = g * padded + u;
      w.weight_scales[to] = of(given.weight_scales, from);
      w.state_scales[to] = of(given.recurrence_scales, from) * kStateGrid.scale;
      w.weight_sums[to] = static_cast<float>(w.weights.row_sums()[to]);
      if (!given.bias.empty()) {
        w.input_bias[to] = given.bias[from];
        w.state_bias[to] = given.bias[gates * hidden + from];
      }
      w.state_bias[to] -=
          w.state_scales[to] *
          static_cast<float>(kStateZero * w.recurrence.row_sums()[to]);
    }
  }
  return w;
}

int64_t LevelRecurrentWorkBytes(const LevelRecurrentWeights& weights) {
  // And the inputs' scales and biases of this run.
  return (WorkFloats(weights) + 2 * weights.weights.padded_rows()) *
             static_cast<int64_t>(sizeof(float)) +
         Padded(weights.recurrence.padded_columns()) +
         Padded(weights.weights.padded_columns());
}

void RunLevelRecurrent(const LevelRecurrentRun& run,
                       const LevelRecurrentWeights& w,
                       const LevelsView& weight_levels,
                       const LevelsView& recurrence_levels, char* work_memory) {
  static const auto run_step = OfWidestIsa(StepAvx512, StepAvx2, StepPlain);
  const int64_t rows = w.weights.padded_rows();
  float* scales = reinterpret_cast<float*>(work_memory);
  float* bias = scales + rows;
  const float zero_point = static_cast<float>(run.grid.zero_point);
  for (int64_t r = 0; r < rows; ++r) {
    scales[r] = run.grid.scale * w.weight_scales[r];
    bias[r] = w.input_bias[r] - scales[r] * zero_point * w.weight_sums[r];
  }
  const Work work =
      LayOut(w, work_memory + 2 * rows * static_cast<int64_t>(sizeof(float)));
  const int64_t padded = Padded(w.hidden);
  std::fill_n(work.now, 2 * padded, 0.0f);
  std::fill_n(work.inputs, w.weights.padded_columns(), uint8_t{0});
  std::copy_n(run.state, w.hidden, work.now);
  if (run.cell != nullptr) std::copy_n(run.cell, w.hidden, work.cell);
  const Cell cell = {w, weight_levels, recurrence_levels, scales, bias};
  for (int64_t i = 0; i < run.steps; ++i) {
    const int64_t t = run.is_reverse ? run.steps - 1 - i : i;
    std::copy_n(run.source + t * run.source_stride, w.inputs, work.inputs);
    run_step(cell, work.inputs, work);
    std::copy_n(work.now, w.hidden, run.out + t * run.out_stride);
  }
  std::copy_n(work.now, w.hidden, run.state);
  if (run.cell != nullptr) std::copy_n(work.cell, w.hidden, run.cell);
}

}  // namespace lathe
