// What a network costs without running it.
#ifndef LATHE_COMPRESSOR_COST_H_
#define LATHE_COMPRESSOR_COST_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "compressor/graph.h"

namespace lathe {

struct ModelCost {
  // Constants at their true bit-widths: INT8 weights at their bits with one
  // float32 scale a channel, bf16 weights at 2 bytes, all else as it is.
  int64_t packed_bytes = 0;
  // Multiply-accumulates of one sample in Conv, Gemm and MatMul.
  int64_t macs = 0;
};

// Errors: those of InferShapes.
absl::StatusOr<ModelCost> ComputeCost(const Graph& graph);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_COST_H_
