// An LSTM as a loop. oneDNN's kernel makes matrix products of a step, which of
// one sample is twice as slow as memory allows, and of few is slower than this
// where there are registers enough (AVX-512).
#ifndef LATHE_EVALUATOR_LSTM_LOOP_H_
#define LATHE_EVALUATOR_LSTM_LOOP_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// ONNX's LSTM of one direction with the default activations.
struct LstmWeights {
  int64_t inputs = 0;
  int64_t hidden = 0;
  // [4 * hidden, inputs] and [4 * hidden, hidden], gates in ONNX's order:
  // input, output, forget, cell.
  absl::Span<const float> source;
  absl::Span<const float> recurrence;
  // [4 * hidden], or empty.
  std::vector<float> bias;
};

// The weights as RunLstm reads them: of each 16 hidden units the four gates'
// biases, then for each input and each hidden unit what it is multiplied with;
// units that fill up the last 16 are zeros.
std::vector<float> PackLstm(const LstmWeights& weights);

struct LstmRun {
  int64_t steps = 0;
  int64_t batch = 1;
  int64_t inputs = 0;
  int64_t hidden = 0;
  // The last step is the first.
  bool is_reverse = false;
  // [steps, batch, inputs].
  const float* source = nullptr;
  // The hidden state of sample n at step t goes to
  // out + (t * batch + n) * out_stride.
  float* out = nullptr;
  int64_t out_stride = 0;
  // [batch, hidden]: what was before the first step, and then what is after
  // the last.
  float* state = nullptr;
  float* cell = nullptr;
};

// `packed` is PackLstm's, best on a cache line's boundary. `work` is memory of
// LstmWorkFloats() numbers. Thread-safe.
int64_t LstmWorkFloats(int64_t batch, int64_t hidden);
void RunLstm(const LstmRun& run, const float* packed, float* work);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LSTM_LOOP_H_
