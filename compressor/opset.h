// Forms of operators between opsets.
#ifndef LATHE_COMPRESSOR_OPSET_H_
#define LATHE_COMPRESSOR_OPSET_H_

#include "absl/status/statusor.h"
#include "compressor/graph.h"

namespace lathe {

// The opset of canonical graphs and exported files: the newest that every tool
// in use reads.
constexpr int64_t kCommonOpset = 17;

// The same network in the operator forms of opset 17 (axes as inputs, Clip with
// inputs, Softmax over one axis, ...). A network with an operator that opset 17
// cannot express keeps its own, newer opset.
//
// Errors: those of InferShapes, where a form depends on a shape.
absl::StatusOr<Graph> ConvertToCommonOpset(const Graph& graph);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_OPSET_H_
