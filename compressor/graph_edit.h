// Small edits of a graph under construction.
#ifndef LATHE_COMPRESSOR_GRAPH_EDIT_H_
#define LATHE_COMPRESSOR_GRAPH_EDIT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// The slices `indices` of `tensor` along `axis`, in that order.
//
// REQUIRES: 0 <= axis < rank; every index lies within the dimension.
Tensor TakeAlongAxis(const Tensor& tensor, int axis,
                     absl::Span<const int64_t> indices);

// Every element of the float32 `tensor` as the nearest number of bfloat16,
// halves to even. NaN stays NaN.
Tensor RoundedToBfloat16(const Tensor& tensor);

// Makes `tensor` the constant that node `node` reads as input `input`. Others
// that read the old constant keep it. The list of inputs grows with kNoValue
// where it is too short.
//
// REQUIRES: the input is a constant or kNoValue.
void SetConstantInput(GraphParts* parts, int node, int input, Tensor tensor);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_GRAPH_EDIT_H_
