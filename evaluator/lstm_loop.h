// An LSTM for one sample at a time, as a loop. oneDNN's kernel takes matrices
// of many samples; of one it is twice as slow as memory allows.
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
  int64_t inputs = 0;
  int64_t hidden = 0;
  // The last step is the first.
  bool is_reverse = false;
  // [steps, inputs].
  const float* source = nullptr;
  // The hidden state of step t goes to out + t * out_stride.
  float* out = nullptr;
  int64_t out_stride = 0;
  // Of `hidden` numbers: what was before the first step, and then what is after
  // the last.
  float* state = nullptr;
  float* cell = nullptr;
};

// `packed` is PackLstm's, best on a cache line's boundary. `work` is memory of
// LstmWorkFloats(hidden) numbers. Thread-safe.
int64_t LstmWorkFloats(int64_t hidden);
void RunLstm(const LstmRun& run, const float* packed, float* work);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LSTM_LOOP_H_
