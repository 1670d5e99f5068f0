// Single nodes on oneDNN: what calibration and the rebuild after pruning run.
#ifndef LATHE_EVALUATOR_NODE_RUNNER_H_
#define LATHE_EVALUATOR_NODE_RUNNER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Runs `node` in float32, post-ops included (see ActivationSource::Run for
// INT8_DYNAMIC). Conv and Gemm use oneDNN, all else falls back to EvaluateNode.
absl::StatusOr<std::vector<Tensor>> RunNode(const Node& node, int64_t opset,
                                            absl::Span<const Tensor> inputs);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_NODE_RUNNER_H_
