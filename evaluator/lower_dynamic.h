// Compiles nodes in INT8_DYNAMIC: the grid of what they read comes from the
// numbers of each call.
#ifndef LATHE_EVALUATOR_LOWER_DYNAMIC_H_
#define LATHE_EVALUATOR_LOWER_DYNAMIC_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "evaluator/lower_weighted.h"
#include "evaluator/lowering_context.h"

namespace lathe {

// A Gemm or MatMul: levels of its input, a product in 32 bits (oneDNN's; for
// few rows, or without VNNI, MultiplyLevels), and the numbers that its sums
// stand for; post-ops are steps of their own.
//
// Errors: Unimplemented - no integer weights, or more columns than 32 bits
// hold.
absl::Status LowerDynamicLinear(LoweringContext& context, const Node& node,
                                const WeightedNode& weighted);

// An LSTM or GRU with the default activations whose samples all have all steps:
// the loop of level_recurrent.h, sample by sample. False: no integer weights.
absl::StatusOr<bool> LowerDynamicRecurrent(LoweringContext& context,
                                           const Node& node);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWER_DYNAMIC_H_
