// LSTM and GRU in 8-bit levels: inputs on the grid that they give, states in
// steps of 1/127 (compressor/dynamic_grid.h), weights in integers.
#ifndef LATHE_EVALUATOR_LEVEL_RECURRENT_H_
#define LATHE_EVALUATOR_LEVEL_RECURRENT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "evaluator/level_products.h"

namespace lathe {

// Gates in ONNX's order: LSTM input, output, forget, cell; GRU update, reset,
// hidden.
enum class LevelCell { kLstm, kGru, kLinearBeforeResetGru };

// One direction as RunLevelRecurrent reads it.
struct LevelRecurrentWeights {
  LevelCell cell = LevelCell::kLstm;
  int64_t inputs = 0;
  int64_t hidden = 0;
  // Rows of each gate are filled up to a multiple of 16.
  PackedLevels weights;
  PackedLevels recurrence;
  // By padded row: worth of a level's product with an input level, without the
  // input's scale, and with a state level; the weights' sums; biases with what
  // the states' zero point adds.
  std::vector<float> weight_scales;
  std::vector<float> state_scales;
  std::vector<float> weight_sums;
  std::vector<float> input_bias;
  std::vector<float> state_bias;
};

// What ONNX has for one direction: levels [gates * hidden, inputs] and
// [gates * hidden, hidden], the scales of those rows (or one), and the bias [2
// * gates * hidden] (or empty).
struct OnnxRecurrent {
  LevelCell cell = LevelCell::kLstm;
  int64_t inputs = 0;
  int64_t hidden = 0;
  const int8_t* weights = nullptr;
  const int8_t* recurrence = nullptr;
  absl::Span<const float> weight_scales;
  absl::Span<const float> recurrence_scales;
  absl::Span<const float> bias;
};
LevelRecurrentWeights PackLevelRecurrent(const OnnxRecurrent& given);

struct LevelRecurrentRun {
  int64_t steps = 0;
  // The last step is the first.
  bool is_reverse = false;
  // Of step t the `inputs` levels at source + t * source_stride, on `grid`.
  const uint8_t* source = nullptr;
  int64_t source_stride = 0;
  OwnLevels grid;
  // The state after step t goes to out + t * out_stride.
  float* out = nullptr;
  int64_t out_stride = 0;
  // Of `hidden` numbers: before the first step, and then after the last. `cell`
  // is null but for an LSTM.
  float* state = nullptr;
  float* cell = nullptr;
};

// Bytes of memory that RunLevelRecurrent works in, on a cache line's boundary.
int64_t LevelRecurrentWorkBytes(const LevelRecurrentWeights& weights);

// `weights` and `recurrence` are views of the packed levels, wherever they lie.
// Thread-safe.
void RunLevelRecurrent(const LevelRecurrentRun& run,
                       const LevelRecurrentWeights& weights,
                       const LevelsView& weight_levels,
                       const LevelsView& recurrence_levels, char* work);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LEVEL_RECURRENT_H_
