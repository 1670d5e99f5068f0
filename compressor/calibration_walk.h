// A network run node by node on the calibration samples.
#ifndef LATHE_COMPRESSOR_CALIBRATION_WALK_H_
#define LATHE_COMPRESSOR_CALIBRATION_WALK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// How many of `wanted` samples can be run as one batch: whole batches of a
// model whose batch is fixed, as many as the source has, and so few that
// `copies` of the network's live activations take at most 1 GiB.
//
// Errors:
//   InvalidArgument - the source has less than one batch.
//   Those of InferShapes.
absl::StatusOr<int64_t> FittingSamples(const Graph& graph,
                                       ActivationSource& source, int64_t wanted,
                                       int copies);

// What a walk shows of one node.
struct NodeActivations {
  int node = 0;  // In Graph::nodes().
  const std::vector<Tensor>& inputs;
  const std::vector<Tensor>& outputs;
};

// Runs all nodes in order on the first `samples` samples and shows each to
// `visit`, whose errors end the walk.
//
// REQUIRES: samples <= FittingSamples. Errors: those of source and `visit`.
absl::Status WalkNetwork(
    const Graph& graph, ActivationSource& source, int64_t samples,
    const std::function<absl::Status(const NodeActivations&)>& visit);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CALIBRATION_WALK_H_
