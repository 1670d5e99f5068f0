// Compiles a graph to a program.
#ifndef LATHE_EVALUATOR_LOWERING_H_
#define LATHE_EVALUATOR_LOWERING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/program.h"

namespace lathe {

// `infos` are InferShapes(graph, ...).
//
// Errors:
//   Unimplemented - an operator that nothing executes.
//   ResourceExhausted - memory.
absl::StatusOr<Program> LowerGraph(const Graph& graph,
                                   const std::vector<ValueInfo>& infos,
                                   const ExecutorOptions& options);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWERING_H_
