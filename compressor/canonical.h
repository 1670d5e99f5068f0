// From the parsed to the canonical form (see graph.h).
#ifndef LATHE_COMPRESSOR_CANONICAL_H_
#define LATHE_COMPRESSOR_CANONICAL_H_

#include "absl/status/statusor.h"
#include "compressor/graph.h"

namespace lathe {

// Reads quantisation (see graph.h), folds constants, drops Identity and
// Dropout, folds BatchNormalization into the Conv or Gemm before it (or turns
// it into Mul and Add), rewrites MatMul + Add with constant weights as Gemm
// where shapes allow, fuses activations and residual additions into the Conv,
// Gemm or Add before them, and removes what no output needs. Does not depend on
// the batch size. What the graph computes stays the same up to float32
// rounding; applied twice it changes nothing.
absl::StatusOr<Graph> Canonicalize(const Graph& graph);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CANONICAL_H_
