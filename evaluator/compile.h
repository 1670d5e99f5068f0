// Executors for given input shapes.
#ifndef LATHE_EVALUATOR_COMPILE_H_
#define LATHE_EVALUATOR_COMPILE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "evaluator/executor.h"

namespace lathe {

// As Executor::Compile, for inputs of `input_shapes` whatever the graph
// declares and options.batch says.
absl::StatusOr<std::unique_ptr<Executor>> CompileForShapes(
    const Graph& graph, absl::Span<const Shape> input_shapes,
    const ExecutorOptions& options = {});

}  // namespace lathe

#endif  // LATHE_EVALUATOR_COMPILE_H_
