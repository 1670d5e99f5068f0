// Shapes and types of all values once the inputs' shapes are known.
#ifndef LATHE_COMPRESSOR_SHAPE_INFERENCE_H_
#define LATHE_COMPRESSOR_SHAPE_INFERENCE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"

namespace lathe {

struct ValueInfo {
  DataType type = DataType::kFloat32;
  Shape shape;
  // Set when the value is a constant for these input shapes: constants of the
  // graph, and what is computed from shapes alone.
  std::optional<Tensor> constant;
};

// Most bytes that folding the graph's constants may make (see limits.h).
int64_t FoldableBytes(const Graph& graph);

// Errors: InvalidArgument - another dimension than the first is dynamic.
absl::Status CheckFixedSizes(const Value& input);

// The graph's declared input shapes with a batch of `batch` (the first
// dimension of each, where it is dynamic).
//
// Errors:
//   InvalidArgument - the first input has a first dimension that is fixed to
//     another size, or CheckFixedSizes; the message names the input.
absl::StatusOr<std::vector<Shape>> InputShapes(const Graph& graph,
                                               int64_t batch);

// Numbers that the largest input takes of one sample.
//
// Errors: those of InputShapes.
absl::StatusOr<int64_t> SampleElements(const Graph& graph);

// The only batch that `graph` can run with: what its inputs declare, or 1 when
// shapes inside fit no other. None when it takes any.
std::optional<int64_t> FixedBatch(const Graph& graph);

// By ValueId. `input_shapes` in the order of graph.inputs().
//
// Errors:
//   InvalidArgument - shapes that do not fit an operator (the message names
//     the node), or a tensor of more than 2^31 elements.
//   Unimplemented - an operator without a rule.
absl::StatusOr<std::vector<ValueInfo>> InferShapes(
    const Graph& graph, absl::Span<const Shape> input_shapes);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_SHAPE_INFERENCE_H_
