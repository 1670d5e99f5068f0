// What becomes of a kernel's accumulators: scales, additions, activations, and
// the grid of the result.
#ifndef LATHE_EVALUATOR_EPILOGUE_H_
#define LATHE_EVALUATOR_EPILOGUE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "evaluator/lowering_context.h"
#include "evaluator/onednn_adapter.h"
#include "evaluator/storage.h"

namespace lathe {

// A value that a fused op adds.
struct FusedAddend {
  // Index in Epilogue::attributes.ops.
  int op = 0;
  ValueId value = kNoValue;
  // True: it stands in the destination's memory before the kernel runs, in
  // `encoding`. False: it is a further argument, float32.
  bool is_sum = false;
  Encoding encoding;
};

struct Epilogue {
  Attributes attributes;
  // Accumulators and bias are expressed in multiples of this before the fused
  // ops: the step of the destination's grid where all ops commute with scaling,
  // else 1.
  float unit = 1;
  std::vector<FusedAddend> addends;
};

// The epilogue of `node` for accumulators worth `scales` (empty: 1) and a
// destination in `encoding`. `destination_shape` is the shape that the kernel
// writes: that of outputs[0], or that with the leading dimensions flattened
// into one.
//
// Errors: Unimplemented - an addition that no fused op can do.
absl::StatusOr<Epilogue> MakeEpilogue(LoweringContext& context,
                                      const Node& node,
                                      std::vector<float> scales,
                                      const Encoding& encoding,
                                      const Shape& destination_shape);

// Whether the addition of `value` to outputs[0] of `node` needs no broadcast.
bool IsFullAddend(const LoweringContext& context, const Node& node,
                  ValueId value);

// An activation as fused ops (HardSigmoid takes two), for numbers in multiples
// of `unit`. REQUIRES: op is no kAdd; unit is 1 unless CommutesWithScaling(op).
std::vector<FusedOp> ActivationOps(const PostOp& op, float unit);

// Whether op(s * x) = s * op(x) for s > 0, once its bounds are scaled.
bool CommutesWithScaling(const PostOp& op);

FusedOp LinearOp(float factor, float offset);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_EPILOGUE_H_
