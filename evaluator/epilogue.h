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
  // The kernel is to be given the bias bias * bias_factor + bias_offset.
  float bias_factor = 1;
  float bias_offset = 0;
  std::vector<FusedAddend> addends;
};

// The epilogue of `node` for accumulators worth `scales` (empty: 1, and they
// cannot be scaled) and a destination in `encoding`. `destination_shape` is the
// shape that the kernel writes: that of outputs[0], or that with the leading
// dimensions flattened into one.
//
// Scalings and offsets are moved towards the accumulators, through whatever
// commutes with them, and end in scales and bias where nothing is in the way:
// that costs nothing, and oneDNN 2.6 computes two fused ops of one kind with
// the parameters of the first.
//
// Errors: Unimplemented - an addition that no fused op can do, or two fused ops
// of one kind with different parameters.
absl::StatusOr<Epilogue> MakeEpilogue(LoweringContext& context,
                                      const Node& node,
                                      std::vector<float> scales,
                                      const Encoding& encoding,
                                      const Shape& destination_shape);

// Whether the addition of `value` to outputs[0] of `node` needs no broadcast.
bool IsFullAddend(const LoweringContext& context, const Node& node,
                  ValueId value);

// Adds the post-ops of `node`, and the activation fused into it, to the float32
// numbers in `copy`, in place, as steps of their own: what to do where
// MakeEpilogue cannot.
absl::Status AddPostOpSteps(LoweringContext& context, const Node& node,
                            const Copy& copy);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_EPILOGUE_H_
