// Compiles nodes with constant weights (Conv, Gemm, MatMul) to the kernel of
// their precision.
#ifndef LATHE_EVALUATOR_LOWER_WEIGHTED_H_
#define LATHE_EVALUATOR_LOWER_WEIGHTED_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "evaluator/lowering_context.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

// One such node in terms that do not depend on the operator.
struct WeightedNode {
  // "conv" or "gemm".
  std::string kind;
  ValueId source = kNoValue;
  // What the kernel reads and writes. `is_flat`: two dimensions, row-major,
  // that stand for the values' own.
  Shape source_shape;
  Shape destination_shape;
  bool is_flat = false;
  // Constants: the float32 weights, or the levels, lie with these strides.
  const Tensor* weights = nullptr;
  Shape weights_shape;
  std::vector<int64_t> weights_strides;
  // So many neighbouring groups are one group of the kernel
  // (group_merging.h); then weights_shape is row-major.
  int64_t merged_groups = 1;
  // What all weights are multiplied with (Gemm's alpha).
  float factor = 1;
  // Element i of output channel c of the weights lies at
  // c * channel_stride + i * element_stride.
  int64_t channels = 0;
  int64_t elements_per_channel = 0;
  int64_t channel_stride = 0;
  int64_t element_stride = 0;
  // One per output channel, or empty.
  std::vector<float> bias;
  // Whether windows reach over the border, where zeros are read.
  bool is_padded = false;
  std::function<absl::StatusOr<Kernel>(
      const MemoryDesc& source, const MemoryDesc& weights,
      const MemoryDesc& destination, bool has_bias,
      const Attributes& attributes)>
      make;
};

// Adds the steps of `node`. The precision asked for is tried first; where
// oneDNN has only a reference kernel for it, float32 runs instead.
//
// Errors: Unimplemented - no kernel, or post-ops that none fuses.
absl::Status LowerWeighted(LoweringContext& context, const Node& node,
                           const WeightedNode& weighted);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWER_WEIGHTED_H_
