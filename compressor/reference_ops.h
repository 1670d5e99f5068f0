// Every supported operator, plainly: the slow, obvious reference for tests, the
// constant folder, and the executor's fallback where oneDNN has no primitive.
#ifndef LATHE_COMPRESSOR_REFERENCE_OPS_H_
#define LATHE_COMPRESSOR_REFERENCE_OPS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// The names of all operators that EvaluateNode knows, sorted.
std::vector<std::string> SupportedOperators();

// Whether EvaluateNode knows the operator.
bool IsSupportedOperator(absl::string_view domain, absl::string_view op_type);

// Computes a node, post-ops included, in float32 (or the tensors' integer
// type). `inputs` has a tensor for each of node.inputs; what stands for
// kNoValue is ignored. Grids and precision are ignored, but for INT8_DYNAMIC,
// which is the node's own affair.
//
// Errors:
//   InvalidArgument - inputs that do not fit the operator; the message names
//     the node.
//   Unimplemented - an operator, attribute or type that is not supported.
absl::StatusOr<std::vector<Tensor>> EvaluateNode(
    const Node& node, int64_t opset, absl::Span<const Tensor> inputs);

// Runs the whole graph on `inputs` (in the order of graph.inputs()), grids
// applied: the meaning of a graph, slowly. Returns the outputs in order.
absl::StatusOr<std::vector<Tensor>> EvaluateGraph(
    const Graph& graph, absl::Span<const Tensor> inputs);

// `value` rounded to `grid` and back, halves to even, saturating.
float ApplyGrid(const ActivationGrid& grid, float value);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REFERENCE_OPS_H_
