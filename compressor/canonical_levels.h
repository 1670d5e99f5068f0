// Levels in QuantizeLinear and DequantizeLinear, and constant ones read as the
// integer weights of layers. Private to the compressor.
#ifndef LATHE_COMPRESSOR_CANONICAL_LEVELS_H_
#define LATHE_COMPRESSOR_CANONICAL_LEVELS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "compressor/canonical_passes.h"
#include "compressor/draft.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Whether it is int8 or uint8.
bool IsByte(DataType type);
// Whether node `index` is there and is this operator of ONNX.
bool IsOp(const Draft& draft, int index, const char* op);
// REQUIRES: `levels` is int8 or uint8.
int64_t LevelAt(const Tensor& levels, int64_t i);

// Each takes one node and returns whether it changed anything.

// A QuantizeLinear of float weights becomes the levels.
absl::StatusOr<bool> FoldConstantQuantize(Draft& draft, FoldBudget& budget,
                                          int index);
// Transpose of dequantised constants becomes DequantizeLinear of transposed
// ones, so that the layer behind it sees them.
absl::StatusOr<bool> TransposeLevels(Draft& draft, FoldBudget& budget,
                                     int index);
// A DequantizeLinear of constant levels becomes integer weights of the layers
// that read it as such.
absl::StatusOr<bool> ReadWeights(Draft& draft, FoldBudget& budget, int index);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CANONICAL_LEVELS_H_
