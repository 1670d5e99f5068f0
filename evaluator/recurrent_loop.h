// LSTM, GRU and RNN as loops over vectors, in every form that ONNX has.
// oneDNN's kernels know few of those forms, and make matrix products of each
// step, which of few samples are slower than this.
#ifndef LATHE_EVALUATOR_RECURRENT_LOOP_H_
#define LATHE_EVALUATOR_RECURRENT_LOOP_H_

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

enum class LoopCell { kLstm, kGru, kLinearBeforeResetGru, kRnn };

// ONNX's, with the parameters that they have by default.
enum class LoopActivation {
  kSigmoid,
  kTanh,
  kRelu,
  kSoftsign,
  kSoftplus,
  kHardSigmoid,
  kLeakyRelu,
  kElu
};

// What all runs of a layer have in common.
struct LoopLayer {
  LoopCell cell = LoopCell::kLstm;
  int64_t inputs = 0;
  int64_t hidden = 0;
  bool has_peepholes = false;
  // Of the gates, of what is new in the state, and LSTM: of the state that is
  // given out. RNN: the first alone.
  std::array<LoopActivation, 3> activations = {
      LoopActivation::kSigmoid, LoopActivation::kTanh, LoopActivation::kTanh};
  // What the first two take is clipped to [-clip, clip].
  float clip = std::numeric_limits<float>::infinity();
};

// ONNX's weights of one direction, gates in ONNX's order.
struct LoopWeights {
  // [gates * hidden, inputs] and [gates * hidden, hidden].
  absl::Span<const float> source;
  absl::Span<const float> recurrence;
  // [2 * gates * hidden] and [3 * hidden]; or empty.
  absl::Span<const float> bias;
  absl::Span<const float> peepholes;
};

// The weights as RunRecurrent reads them.
std::vector<float> PackRecurrent(const LoopLayer& layer,
                                 const LoopWeights& weights);

struct RecurrentRun {
  int64_t steps = 0;
  int64_t batch = 1;
  // The last step is the first.
  bool is_reverse = false;
  // Sample n at step t lies at source + t * source_step + n * source_sample,
  // and its state goes to out + t * out_step + n * out_sample.
  const float* source = nullptr;
  int64_t source_step = 0;
  int64_t source_sample = 0;
  float* out = nullptr;
  int64_t out_step = 0;
  int64_t out_sample = 0;
  // Of sample n, `hidden` numbers at n * state_sample: what was before the
  // first step, and then what is after the last. `cell` is LSTM's.
  float* state = nullptr;
  float* cell = nullptr;
  int64_t state_sample = 0;
  // Steps that sample n has, [batch]; null: all of them. What lies behind them
  // in `out` is not touched.
  const int32_t* lengths = nullptr;
};

// `packed` is PackRecurrent's, best on a cache line's boundary. `work` is
// memory of RecurrentWorkFloats() numbers. Thread-safe. Sums have the same
// order whatever the batch: equal samples have equal bits.
int64_t RecurrentWorkFloats(const LoopLayer& layer, int64_t steps,
                            int64_t batch);
void RunRecurrent(const LoopLayer& layer, const RecurrentRun& run,
                  const float* packed, float* work);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_RECURRENT_LOOP_H_
