// A model run once on given tensors.
#ifndef LATHE_CLIENT_WORKER_RUN_MODEL_H_
#define LATHE_CLIENT_WORKER_RUN_MODEL_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Runs a parsed graph on tensors by input name; the outputs in the graph's
// order. Elements are converted to the inputs' types where nothing is lost.
// The canonical form is run, or the parsed one where there is none. A model
// whose shapes depend on what a vector or a scalar holds (the new shape of a
// Reshape, say) is run for just these values.
//
// Errors:
//   InvalidArgument - an input without a tensor, a tensor without an input, a
//     shape or type that the model does not take.
//   FailedPrecondition - the model does not run; the message names the node.
absl::StatusOr<std::vector<Tensor>> RunModel(
    const Graph& parsed, const std::map<std::string, Tensor>& tensors);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_RUN_MODEL_H_
