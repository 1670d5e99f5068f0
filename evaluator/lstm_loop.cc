#include "evaluator/lstm_loop.h"

#include <algorithm>
#include <utility>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

constexpr int64_t kGates = 4;
// Floats of one row of the four gates of a block of units.
constexpr int64_t kRow = kGates * kWidth;

struct Gates {
  Floats input;
  Floats output;
  Floats forget;
  Floats cell;
};

[[gnu::always_inline]] inline void LoadGates(const float* row, Gates& gates) {
  Load(row, gates.input);
  Load(row + kWidth, gates.output);
  Load(row + 2 * kWidth, gates.forget);
  Load(row + 3 * kWidth, gates.cell);
}

// gates += number * row.
[[gnu::always_inline]] inline void AddRow(const float* row, float number,
                                          Gates& gates) {
  Gates weights;
  LoadGates(row, weights);
  gates.input += weights.input * number;
  gates.output += weights.output * number;
  gates.forget += weights.forget * number;
  gates.cell += weights.cell * number;
}

// The units' next state from their gates, which are used up.
[[gnu::always_inline]] inline void Finish(Gates& gates, float* cell,
                                          float* state) {
  Sigmoid(gates.input);
  Sigmoid(gates.output);
  Sigmoid(gates.forget);
  Tanh(gates.cell);
  Floats c;
  Load(cell, c);
  c = gates.forget * c + gates.input * gates.cell;
  Store(c, cell);
  Tanh(c);
  c *= gates.output;
  Store(c, state);
}

struct Step {
  const float* source = nullptr;
  int64_t inputs = 0;
  const float* state = nullptr;
  int64_t hidden = 0;
  float* cell = nullptr;
  float* next_state = nullptr;
};

// Two blocks of units at a time: one alone would wait for its own sums.
[[gnu::always_inline]] inline void StepBody(const Step& step,
                                            const float* packed) {
  const int64_t block = (1 + step.inputs + step.hidden) * kRow;
  const int64_t blocks = (step.hidden + kWidth - 1) / kWidth;
  for (int64_t b = 0; b < blocks; b += 2) {
    const bool has_second = b + 1 < blocks;
    const float* first = packed + b * block;
    const float* second = has_second ? first + block : first;
    Gates a;
    Gates c;
    LoadGates(first, a);
    LoadGates(second, c);
    for (int64_t i = 0; i < step.inputs; ++i) {
      first += kRow;
      second += kRow;
      AddRow(first, step.source[i], a);
      AddRow(second, step.source[i], c);
    }
    for (int64_t i = 0; i < step.hidden; ++i) {
      first += kRow;
      second += kRow;
      AddRow(first, step.state[i], a);
      AddRow(second, step.state[i], c);
    }
    Finish(a, step.cell + b * kWidth, step.next_state + b * kWidth);
    if (!has_second) break;
    Finish(c, step.cell + (b + 1) * kWidth, step.next_state + (b + 1) * kWidth);
  }
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
StepAvx512(const Step& step, const float* packed) {
  StepBody(step, packed);
}
__attribute__((target("avx2,fma"))) void StepAvx2(const Step& step,
                                                  const float* packed) {
  StepBody(step, packed);
}
void StepPlain(const Step& step, const float* packed) {
  StepBody(step, packed);
}

decltype(&StepPlain) ChosenStep() {
  switch (WidestVectorIsa()) {
    case VectorIsa::kAvx512:
      return StepAvx512;
    case VectorIsa::kAvx2:
      return StepAvx2;
    case VectorIsa::kPlain:
      break;
  }
  return StepPlain;
}

int64_t Padded(int64_t hidden) {
  return (hidden + kWidth - 1) / kWidth * kWidth;
}

}  // namespace

std::vector<float> PackLstm(const LstmWeights& weights) {
  const int64_t hidden = weights.hidden;
  std::vector<float> packed(
      Padded(hidden) / kWidth * (1 + weights.inputs + hidden) * kRow, 0);
  float* to = packed.data();
  // `matrix` is [gates * hidden, columns].
  const auto pack = [&](const float* matrix, int64_t columns, int64_t first) {
    for (int64_t column = 0; column < columns; ++column, to += kRow) {
      for (int64_t gate = 0; gate < kGates; ++gate) {
        for (int64_t u = first; u < std::min(first + kWidth, hidden); ++u) {
          to[gate * kWidth + u - first] =
              matrix[(gate * hidden + u) * columns + column];
        }
      }
    }
  };
  const std::vector<float> zeros(kGates * hidden, 0);
  const float* bias = weights.bias.empty() ? zeros.data() : weights.bias.data();
  for (int64_t first = 0; first < hidden; first += kWidth) {
    pack(bias, 1, first);
    pack(weights.source.data(), weights.inputs, first);
    pack(weights.recurrence.data(), hidden, first);
  }
  return packed;
}

int64_t LstmWorkFloats(int64_t hidden) { return 3 * Padded(hidden); }

void RunLstm(const LstmRun& run, const float* packed, float* work) {
  static const auto run_step = ChosenStep();
  const int64_t padded = Padded(run.hidden);
  std::fill_n(work, 3 * padded, 0.0f);
  float* now = work;
  float* next = now + padded;
  float* cells = next + padded;
  std::copy_n(run.state, run.hidden, now);
  std::copy_n(run.cell, run.hidden, cells);
  for (int64_t i = 0; i < run.steps; ++i) {
    const int64_t t = run.is_reverse ? run.steps - 1 - i : i;
    run_step(
        {run.source + t * run.inputs, run.inputs, now, run.hidden, cells, next},
        packed);
    std::swap(now, next);
    std::copy_n(now, run.hidden, run.out + t * run.out_stride);
  }
  std::copy_n(now, run.hidden, run.state);
  std::copy_n(cells, run.hidden, run.cell);
}

}  // namespace lathe
