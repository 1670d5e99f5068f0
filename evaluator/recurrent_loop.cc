#include "evaluator/recurrent_loop.h"

#include <algorithm>

#include "evaluator/recurrent_cells.h"
#include "evaluator/recurrent_products.h"
#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// Inputs that are multiplied before the steps that read them: enough for
// weights to be read once for many, few enough for the results to stay in the
// nearest cache.
constexpr int64_t kRowsAhead = 48;

int64_t Padded(int64_t hidden) {
  return (hidden + kWidth - 1) / kWidth * kWidth;
}

int64_t GatesOf(LoopCell cell) {
  switch (cell) {
    case LoopCell::kLstm:
      return 4;
    case LoopCell::kGru:
    case LoopCell::kLinearBeforeResetGru:
      return 3;
    case LoopCell::kRnn:
      break;
  }
  return 1;
}

// The matrices of a layer, one behind the other. The new state of a GRU has
// recurrence of its own, since it waits for the reset gate.
struct Matrices {
  PackedMatrix source;
  PackedMatrix recurrence;
  PackedMatrix fresh;
  const float* peepholes = nullptr;
};

Matrices MatricesOf(const LoopLayer& layer, const float* packed) {
  const int64_t padded = Padded(layer.hidden);
  const int64_t rows = GatesOf(layer.cell) * padded;
  const int64_t waiting = layer.cell == LoopCell::kGru ? padded : 0;
  Matrices m;
  m.source = {packed, rows, layer.inputs};
  m.recurrence = {packed + m.source.Size(), rows - waiting, layer.hidden};
  m.fresh = {m.recurrence.data + m.recurrence.Size(), waiting, layer.hidden};
  m.peepholes = m.fresh.data + m.fresh.Size();
  return m;
}

// The memory that a run works in: states by sample, and products by sample
// (and, those of the source, by step ahead).
struct Work {
  int64_t padded = 0;
  int64_t rows = 0;
  ResultRows state;
  ResultRows cell;
  ResultRows reset_state;
  ResultRows fresh;
  ResultRows from_state;
  ResultRows from_source;
};

int64_t StepsAhead(int64_t steps, int64_t batch) {
  return std::max<int64_t>(1, std::min(steps, kRowsAhead / batch));
}

Work LayOut(const LoopLayer& layer, int64_t batch, float* memory) {
  Work w;
  w.padded = Padded(layer.hidden);
  w.rows = GatesOf(layer.cell) * w.padded;
  for (ResultRows* rows : {&w.state, &w.cell, &w.reset_state, &w.fresh}) {
    *rows = {memory, w.padded};
    memory += batch * w.padded;
  }
  w.from_state = {memory, w.rows};
  w.from_source = {memory + batch * w.rows, w.rows};
  return w;
}

FactorRows Read(const ResultRows& rows) { return {rows.first, rows.stride}; }

struct Steps {
  const LoopLayer& layer;
  Matrices matrices;
  Work work;
  int64_t batch = 1;
};

[[gnu::always_inline]] inline CellSample SampleAt(const Steps& steps,
                                                  const ResultRows& from_source,
                                                  int64_t n) {
  const Work& w = steps.work;
  return {from_source.At(n), w.from_state.At(n), steps.matrices.peepholes,
          w.state.At(n),     w.cell.At(n),       w.reset_state.At(n),
          w.fresh.At(n)};
}

// `from_source` is where the products of this step's inputs begin.
template <size_t kMost>
[[gnu::always_inline]] inline void StepBody(const Steps& steps,
                                            const ResultRows& from_source) {
  const Work& w = steps.work;
  const LoopLayer& layer = steps.layer;
  Multiply<kMost>(steps.matrices.recurrence, steps.batch, Read(w.state),
                  w.from_state);
  if (layer.cell == LoopCell::kGru) {
    for (int64_t n = 0; n < steps.batch; ++n) {
      ResetState(layer, w.padded, SampleAt(steps, from_source, n));
    }
    Multiply<kMost>(steps.matrices.fresh, steps.batch, Read(w.reset_state),
                    w.fresh);
  }
  for (int64_t n = 0; n < steps.batch; ++n) {
    const CellSample sample = SampleAt(steps, from_source, n);
    if (layer.cell == LoopCell::kLstm) {
      FinishLstm(layer, w.padded, sample);
    } else if (layer.cell == LoopCell::kRnn) {
      FinishRnn(layer, w.padded, sample);
    } else {
      FinishGru(layer, w.padded, sample);
    }
  }
}

// The states after each of `count` steps from step `first` on.
template <size_t kMost>
[[gnu::always_inline]] inline void RunSomeBody(const Steps& steps,
                                               const RecurrentRun& run,
                                               int64_t first, int64_t count) {
  const Work& w = steps.work;
  const int64_t hidden = steps.layer.hidden;
  const auto time = [&run](int64_t i) {
    return run.is_reverse ? run.steps - 1 - i : i;
  };
  if (run.batch == 1) {
    // Inputs of one sample lie one behind the other, maybe backwards.
    const int64_t stride = run.is_reverse ? -run.source_step : run.source_step;
    Multiply<kMost>(steps.matrices.source, count,
                    {run.source + time(first) * run.source_step, stride},
                    w.from_source);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      Multiply<kMost>(
          steps.matrices.source, run.batch,
          {run.source + time(first + i) * run.source_step, run.source_sample},
          {w.from_source.At(i * run.batch), w.rows});
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    StepBody<kMost>(steps, {w.from_source.At(i * run.batch), w.rows});
    float* out = run.out + time(first + i) * run.out_step;
    for (int64_t n = 0; n < run.batch; ++n) {
      std::copy_n(w.state.At(n), hidden, out + n * run.out_sample);
    }
  }
}

// As many rows at a time as registers hold beside those of a panel.
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
RunSomeAvx512(const Steps& steps, const RecurrentRun& run, int64_t first,
              int64_t count) {
  RunSomeBody<6>(steps, run, first, count);
}
__attribute__((target("avx2,fma"))) void RunSomeAvx2(const Steps& steps,
                                                     const RecurrentRun& run,
                                                     int64_t first,
                                                     int64_t count) {
  RunSomeBody<2>(steps, run, first, count);
}
void RunSomePlain(const Steps& steps, const RecurrentRun& run, int64_t first,
                  int64_t count) {
  RunSomeBody<2>(steps, run, first, count);
}

// Of samples that all have run.steps steps.
void RunEven(const LoopLayer& layer, const RecurrentRun& run,
             const float* packed, float* work) {
  static const auto run_some =
      OfWidestIsa(RunSomeAvx512, RunSomeAvx2, RunSomePlain);
  const Steps steps = {layer, MatricesOf(layer, packed),
                       LayOut(layer, run.batch, work), run.batch};
  const Work& w = steps.work;
  std::fill_n(w.state.first, 2 * run.batch * w.padded, 0.0f);
  for (int64_t n = 0; n < run.batch; ++n) {
    std::copy_n(run.state + n * run.state_sample, layer.hidden, w.state.At(n));
    if (run.cell == nullptr) continue;
    std::copy_n(run.cell + n * run.state_sample, layer.hidden, w.cell.At(n));
  }
  const int64_t ahead = StepsAhead(run.steps, run.batch);
  for (int64_t first = 0; first < run.steps; first += ahead) {
    run_some(steps, run, first, std::min(ahead, run.steps - first));
  }
  for (int64_t n = 0; n < run.batch; ++n) {
    std::copy_n(w.state.At(n), layer.hidden, run.state + n * run.state_sample);
    if (run.cell == nullptr) continue;
    std::copy_n(w.cell.At(n), layer.hidden, run.cell + n * run.state_sample);
  }
}

// Appends `values`, [gates * hidden, columns], as a PackedMatrix has them: each
// gate's rows filled up to whole vectors.
void AppendMatrix(absl::Span<const float> values, absl::Span<const float> bias,
                  int64_t gates, int64_t hidden, int64_t columns,
                  std::vector<float>* packed) {
  const int64_t padded = Padded(hidden);
  const int64_t rows = gates * padded;
  constexpr int64_t kPanel = kPanelVectors * kWidth;
  for (int64_t first = 0; first < rows;) {
    const int64_t size = first + kPanel <= rows ? kPanel : kWidth;
    // Column -1 is the bias.
    for (int64_t c = -1; c < columns; ++c) {
      for (int64_t r = first; r < first + size; ++r) {
        const int64_t unit = r % padded;
        const int64_t row = r / padded * hidden + unit;
        float value = 0;
        if (unit < hidden && c >= 0) value = values[row * columns + c];
        if (unit < hidden && c < 0 && !bias.empty()) value = bias[row];
        packed->push_back(value);
      }
    }
    first += size;
  }
}

}  // namespace

std::vector<float> PackRecurrent(const LoopLayer& layer,
                                 const LoopWeights& weights) {
  const int64_t hidden = layer.hidden;
  const int64_t gates = GatesOf(layer.cell);
  absl::Span<const float> source_bias = weights.bias;
  absl::Span<const float> state_bias;
  if (!weights.bias.empty()) {
    source_bias = weights.bias.subspan(0, gates * hidden);
    state_bias = weights.bias.subspan(gates * hidden);
  }
  std::vector<float> packed;
  AppendMatrix(weights.source, source_bias, gates, hidden, layer.inputs,
               &packed);
  const int64_t waiting = layer.cell == LoopCell::kGru ? 1 : 0;
  AppendMatrix(weights.recurrence, state_bias, gates - waiting, hidden, hidden,
               &packed);
  if (waiting > 0) {
    const int64_t first = (gates - 1) * hidden;
    AppendMatrix(weights.recurrence.subspan(first * hidden),
                 state_bias.empty() ? state_bias : state_bias.subspan(first), 1,
                 hidden, hidden, &packed);
  }
  for (size_t first = 0; first < weights.peepholes.size(); first += hidden) {
    const auto part = weights.peepholes.subspan(first, hidden);
    packed.insert(packed.end(), part.begin(), part.end());
    packed.resize(packed.size() + Padded(hidden) - hidden, 0);
  }
  return packed;
}

int64_t RecurrentWorkFloats(const LoopLayer& layer, int64_t steps,
                            int64_t batch) {
  const int64_t padded = Padded(layer.hidden);
  const int64_t rows = GatesOf(layer.cell) * padded;
  // Samples of different lengths run by themselves, more steps ahead.
  const int64_t ahead =
      std::max(batch * StepsAhead(steps, batch), StepsAhead(steps, 1));
  return batch * (4 * padded + rows) + ahead * rows;
}

void RunRecurrent(const LoopLayer& layer, const RecurrentRun& run,
                  const float* packed, float* work) {
  if (run.lengths == nullptr) {
    RunEven(layer, run, packed, work);
    return;
  }
  for (int64_t n = 0; n < run.batch; ++n) {
    RecurrentRun one = run;
    one.batch = 1;
    one.lengths = nullptr;
    one.steps = std::clamp<int64_t>(run.lengths[n], 0, run.steps);
    one.source += n * run.source_sample;
    one.out += n * run.out_sample;
    one.state += n * run.state_sample;
    if (run.cell != nullptr) one.cell += n * run.state_sample;
    RunEven(layer, one, packed, work);
  }
}

}  // namespace lathe
