// Sizes that a model leaves open besides the batch (height and width of an
// image, length of a sequence), fixed by who knows them.
#ifndef LATHE_COMPRESSOR_INPUT_SHAPES_H_
#define LATHE_COMPRESSOR_INPUT_SHAPES_H_

#include <functional>

#include "absl/status/statusor.h"
#include "compressor/graph.h"

namespace lathe {

// The whole shape of a graph's input; its first size, the batch, is ignored.
using InputShapeSource = std::function<absl::StatusOr<Shape>(
    const Graph& graph, const Value& input)>;

// Whether another size than the first is open.
bool IsOpen(const Value& input);

// `graph` with the open sizes of its inputs as `shape_of` says, which is asked
// for open inputs only. The batch stays as it is declared.
//
// Errors: those of `shape_of`;
//   InvalidArgument - a shape that does not fit the declared one.
absl::StatusOr<Graph> FixInputShapes(const Graph& graph,
                                     const InputShapeSource& shape_of);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_INPUT_SHAPES_H_
