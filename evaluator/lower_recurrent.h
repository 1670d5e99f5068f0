// What the ways to lower LSTM, GRU and RNN have in common.
#ifndef LATHE_EVALUATOR_LOWER_RECURRENT_H_
#define LATHE_EVALUATOR_LOWER_RECURRENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "compressor/graph.h"
#include "evaluator/lowering_context.h"

namespace lathe {

// Where ONNX has the inputs.
enum RecurrentInput {
  kSource,
  kWeights,
  kRecurrence,
  kBias,
  kLengths,
  kFirstState,
  kFirstCell,
  kPeepholes
};

// kNoValue for inputs and outputs that are left out.
inline ValueId RecurrentValue(const std::vector<ValueId>& values,
                              size_t index) {
  return index < values.size() ? values[index] : kNoValue;
}

struct RecurrentSizes {
  int64_t steps = 0;
  int64_t batch = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t directions = 1;
  int64_t gates = 0;
  // layout = 1.
  bool is_batch_first = false;
};
RecurrentSizes SizesOfRecurrent(const LoweringContext& context,
                                const Node& node);

// Whether every sample has all steps.
bool HasFullLengths(const LoweringContext& context, const Node& node);

// Whether the vector loop can do it: weights are constant.
bool IsForRecurrentLoop(const LoweringContext& context, const Node& node);
// As a vector loop. REQUIRES: IsForRecurrentLoop.
absl::Status LowerRecurrentAsLoop(LoweringContext& context, const Node& node);

// Says that output 0 lies in `copy`, directions beside each other.
void DefineRecurrentStates(LoweringContext& context, const Node& node,
                           const RecurrentSizes& sizes, Copy copy);
// Says that output `index`, the last state or cell, lies in `copy`.
void DefineLastState(LoweringContext& context, const Node& node, size_t index,
                     Copy copy);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWER_RECURRENT_H_
