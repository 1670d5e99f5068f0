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
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  // [batch, inputs].
  const float* source = nullptr;
  // [batch, padded hidden], as are the next two.
  const float* state = nullptr;
  float* cell = nullptr;
  float* next_state = nullptr;
};

int64_t Padded(int64_t hidden) {
  return (hidden + kWidth - 1) / kWidth * kWidth;
}

// Floats of the packed weights of one block of units.
int64_t BlockFloats(const Step& step) {
  return (1 + step.inputs + step.hidden) * kRow;
}

// Of one sample, two blocks of units at a time: one alone would wait for its
// own sums.
[[gnu::always_inline]] inline void StepOfOne(const Step& step,
                                             const float* packed) {
  const int64_t blocks = Padded(step.hidden) / kWidth;
  for (int64_t b = 0; b < blocks; b += 2) {
    const bool has_second = b + 1 < blocks;
    const float* first = packed + b * BlockFloats(step);
    const float* second = has_second ? first + BlockFloats(step) : first;
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

// One block of units of several samples, from `sample` on: a row of weights is
// read once for all. Constant indices keep the gates in registers.
template <size_t... kSample>
[[gnu::always_inline]] inline void BlockOfMany(
    const Step& step, const float* packed, int64_t block, int64_t sample,
    std::index_sequence<kSample...>) {
  const int64_t padded = Padded(step.hidden);
  const float* row = packed + block * BlockFloats(step);
  Gates gates[sizeof...(kSample)];
  (LoadGates(row, gates[kSample]), ...);
  const float* source = step.source + sample * step.inputs;
  for (int64_t i = 0; i < step.inputs; ++i) {
    row += kRow;
    (AddRow(row, source[kSample * step.inputs + i], gates[kSample]), ...);
  }
  const float* state = step.state + sample * padded;
  for (int64_t i = 0; i < step.hidden; ++i) {
    row += kRow;
    (AddRow(row, state[kSample * padded + i], gates[kSample]), ...);
  }
  const int64_t to = sample * padded + block * kWidth;
  (Finish(gates[kSample], step.cell + to + kSample * padded,
          step.next_state + to + kSample * padded),
   ...);
}

// What 32 registers hold beside a row of weights.
constexpr int64_t kMostSamples = 6;

[[gnu::always_inline]] inline void StepBody(const Step& step,
                                            const float* packed) {
  if (step.batch == 1) return StepOfOne(step, packed);
  const int64_t blocks = Padded(step.hidden) / kWidth;
  for (int64_t b = 0; b < blocks; ++b) {
    int64_t n = 0;
    for (; n + kMostSamples <= step.batch; n += kMostSamples) {
      BlockOfMany(step, packed, b, n, std::make_index_sequence<kMostSamples>());
    }
    for (; n + 2 <= step.batch; n += 2) {
      BlockOfMany(step, packed, b, n, std::make_index_sequence<2>());
    }
    if (n < step.batch) {
      BlockOfMany(step, packed, b, n, std::make_index_sequence<1>());
    }
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

int64_t LstmWorkFloats(int64_t batch, int64_t hidden) {
  return 3 * batch * Padded(hidden);
}

void RunLstm(const LstmRun& run, const float* packed, float* work) {
  static const auto run_step = OfWidestIsa(StepAvx512, StepAvx2, StepPlain);
  const int64_t padded = Padded(run.hidden);
  const int64_t size = run.batch * padded;
  std::fill_n(work, 3 * size, 0.0f);
  float* now = work;
  float* next = now + size;
  float* cells = next + size;
  for (int64_t n = 0; n < run.batch; ++n) {
    std::copy_n(run.state + n * run.hidden, run.hidden, now + n * padded);
    std::copy_n(run.cell + n * run.hidden, run.hidden, cells + n * padded);
  }
  Step step = {run.batch, run.inputs, run.hidden};
  step.cell = cells;
  for (int64_t i = 0; i < run.steps; ++i) {
    const int64_t t = run.is_reverse ? run.steps - 1 - i : i;
    step.source = run.source + t * run.batch * run.inputs;
    step.state = now;
    step.next_state = next;
    run_step(step, packed);
    std::swap(now, next);
    for (int64_t n = 0; n < run.batch; ++n) {
      std::copy_n(now + n * padded, run.hidden,
                  run.out + (t * run.batch + n) * run.out_stride);
    }
  }
  for (int64_t n = 0; n < run.batch; ++n) {
    std::copy_n(now + n * padded, run.hidden, run.state + n * run.hidden);
    std::copy_n(cells + n * padded, run.hidden, run.cell + n * run.hidden);
  }
}

}  // namespace lathe
