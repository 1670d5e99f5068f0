// What the cells of recurrent layers make of the products of a step. For one
// source file that is compiled for several instruction sets.
#ifndef LATHE_EVALUATOR_RECURRENT_CELLS_H_
#define LATHE_EVALUATOR_RECURRENT_CELLS_H_

#include <cmath>
#include <cstdint>

#include "evaluator/recurrent_loop.h"
#include "evaluator/vector_math.h"

namespace lathe {

[[gnu::always_inline]] inline void Softplus(Floats& x) {
  for (int64_t l = 0; l < kWidth; ++l) x[l] = std::log1p(std::exp(x[l]));
}

[[gnu::always_inline]] inline void Softsign(Floats& x) {
  const Floats magnitude = x < 0.0f ? -x : x;
  x /= magnitude + 1.0f;
}

[[gnu::always_inline]] inline void Elu(Floats& x) {
  Floats e = x < 0.0f ? x : Floats{};
  ExpOfNegative(e);
  x = x < 0.0f ? e - 1.0f : x;
}

[[gnu::always_inline]] inline void Activate(LoopActivation activation,
                                            Floats& x) {
  switch (activation) {
    case LoopActivation::kSigmoid:
      Sigmoid(x);
      return;
    case LoopActivation::kTanh:
      Tanh(x);
      return;
    case LoopActivation::kRelu:
      x = x < 0.0f ? Floats{} : x;
      return;
    case LoopActivation::kSoftsign:
      Softsign(x);
      return;
    case LoopActivation::kSoftplus:
      Softplus(x);
      return;
    case LoopActivation::kHardSigmoid:
      x = x * 0.2f + 0.5f;
      x = x < 0.0f ? Floats{} : x;
      x = x > 1.0f ? Floats{} + 1.0f : x;
      return;
    case LoopActivation::kLeakyRelu:
      x = x < 0.0f ? x * 0.01f : x;
      return;
    case LoopActivation::kElu:
      Elu(x);
      return;
  }
}

[[gnu::always_inline]] inline void ClipAndActivate(const LoopLayer& layer,
                                                   int which, Floats& x) {
  x = x < -layer.clip ? Floats{} - layer.clip : x;
  x = x > layer.clip ? Floats{} + layer.clip : x;
  Activate(layer.activations[which], x);
}

// Of one sample at one step; everything by padded rows.
struct CellSample {
  const float* from_source = nullptr;
  const float* from_state = nullptr;
  const float* peepholes = nullptr;
  float* state = nullptr;
  float* cell = nullptr;
  // GRU: the state that the reset gate has left, and what comes of it.
  float* reset_state = nullptr;
  const float* fresh = nullptr;
};

[[gnu::always_inline]] inline void GateOf(const CellSample& s, int64_t row,
                                          Floats& gate) {
  Floats state;
  Load(s.from_source + row, gate);
  Load(s.from_state + row, state);
  gate += state;
}

// gate += peephole * cell.
[[gnu::always_inline]] inline void AddPeephole(const float* peepholes,
                                               const Floats& cell,
                                               Floats& gate) {
  Floats weight;
  Load(peepholes, weight);
  gate += weight * cell;
}

// Gates input, output, forget, cell; peepholes input, output, forget.
[[gnu::always_inline]] inline void FinishLstm(const LoopLayer& layer,
                                              int64_t padded,
                                              const CellSample& s) {
  for (int64_t u = 0; u < padded; u += kWidth) {
    Floats input;
    Floats output;
    Floats forget;
    Floats fresh;
    Floats cell;
    GateOf(s, u, input);
    GateOf(s, padded + u, output);
    GateOf(s, 2 * padded + u, forget);
    GateOf(s, 3 * padded + u, fresh);
    Load(s.cell + u, cell);
    if (layer.has_peepholes) {
      AddPeephole(s.peepholes + u, cell, input);
      AddPeephole(s.peepholes + 2 * padded + u, cell, forget);
    }
    ClipAndActivate(layer, 0, input);
    ClipAndActivate(layer, 0, forget);
    ClipAndActivate(layer, 1, fresh);
    cell = forget * cell + input * fresh;
    Store(cell, s.cell + u);
    if (layer.has_peepholes) {
      AddPeephole(s.peepholes + padded + u, cell, output);
    }
    ClipAndActivate(layer, 0, output);
    Activate(layer.activations[2], cell);
    cell *= output;
    Store(cell, s.state + u);
  }
}

// reset_state = reset gate * state. Gates update, reset, fresh.
[[gnu::always_inline]] inline void ResetState(const LoopLayer& layer,
                                              int64_t padded,
                                              const CellSample& s) {
  for (int64_t u = 0; u < padded; u += kWidth) {
    Floats reset;
    Floats state;
    GateOf(s, padded + u, reset);
    ClipAndActivate(layer, 0, reset);
    Load(s.state + u, state);
    reset *= state;
    Store(reset, s.reset_state + u);
  }
}

[[gnu::always_inline]] inline void FinishGru(const LoopLayer& layer,
                                             int64_t padded,
                                             const CellSample& s) {
  const bool is_linear = layer.cell == LoopCell::kLinearBeforeResetGru;
  for (int64_t u = 0; u < padded; u += kWidth) {
    Floats update;
    Floats fresh;
    Floats from_state;
    Floats state;
    GateOf(s, u, update);
    ClipAndActivate(layer, 0, update);
    Load(s.from_source + 2 * padded + u, fresh);
    if (is_linear) {
      Floats reset;
      GateOf(s, padded + u, reset);
      ClipAndActivate(layer, 0, reset);
      Load(s.from_state + 2 * padded + u, from_state);
      from_state *= reset;
    } else {
      Load(s.fresh + u, from_state);
    }
    fresh += from_state;
    ClipAndActivate(layer, 1, fresh);
    Load(s.state + u, state);
    state = (1.0f - update) * fresh + update * state;
    Store(state, s.state + u);
  }
}

[[gnu::always_inline]] inline void FinishRnn(const LoopLayer& layer,
                                             int64_t padded,
                                             const CellSample& s) {
  for (int64_t u = 0; u < padded; u += kWidth) {
    Floats state;
    GateOf(s, u, state);
    ClipAndActivate(layer, 0, state);
    Store(state, s.state + u);
  }
}

}  // namespace lathe

#endif  // LATHE_EVALUATOR_RECURRENT_CELLS_H_
