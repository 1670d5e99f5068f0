// Grids that a layer in INT8_DYNAMIC takes from the numbers of each call.
#ifndef LATHE_COMPRESSOR_DYNAMIC_GRID_H_
#define LATHE_COMPRESSOR_DYNAMIC_GRID_H_

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// The grid of ONNX's DynamicQuantizeLinear for numbers in [least, most]: 8 bits
// without sign, from the lesser of `least` and 0 to the greater of `most` and
// 0. Scale 1 and zero point 0 where that range is empty or no finite number.
ActivationGrid DynamicGrid(float least, float most);

// That of `values`; NaNs do not count.
ActivationGrid DynamicGridOf(absl::Span<const float> values);

// The float32 `tensor` rounded to its own DynamicGridOf.
Tensor RoundToOwnGrid(const Tensor& tensor);

// What hidden states of an LSTM or GRU are rounded to before they meet the
// weights: they lie in (-1, 1) whatever the data.
constexpr ActivationGrid kStateGrid = {true, 1.0f / 127, 0};

// Whether the node is an LSTM or GRU of ONNX.
bool IsRecurrentNode(const Node& node);

// Whether a node of `graph` takes its grid from each call's numbers, so that
// what a sample gives depends on the others in its batch.
bool HasDynamicGrids(const Graph& graph);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_DYNAMIC_GRID_H_
