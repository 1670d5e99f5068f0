// Linear layers as products of two of lower rank.
#ifndef LATHE_COMPRESSOR_LOW_RANK_H_
#define LATHE_COMPRESSOR_LOW_RANK_H_

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "compressor/graph.h"

namespace lathe {

// `graph` with the weights W [in, out] of each Gemm and MatMul in F32 split
// into [in, r] and [r, out] by singular values (Xue et al., "Restructuring of
// Deep Neural Network Acoustic Models with Singular Value Decomposition",
// 2013): the least r that keeps the share `energy` of the squared singular
// values, where r * (in + out) < in * out; other layers stay. The new node, a
// MatMul called "<layer>_low_rank", stands before the layer, which keeps its
// name. Integer weights, those read by several nodes, and the layers named in
// `left_alone` stay whole.
//
// REQUIRES: 0 < energy <= 1. Errors: those of Graph::Create.
absl::StatusOr<Graph> FactorLinearLayers(
    const Graph& graph, double energy,
    const std::set<std::string>& left_alone = {});

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LOW_RANK_H_
