// The tensors of a network that runs node by node, each freed after its last
// use.
#ifndef LATHE_COMPRESSOR_LIVE_TENSORS_H_
#define LATHE_COMPRESSOR_LIVE_TENSORS_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Not thread-safe.
class LiveTensors {
 public:
  // Graph outputs are freed like all else.
  explicit LiveTensors(const Graph& graph);

  // Sets the graph's inputs. REQUIRES: one tensor for each.
  void SetInputs(const std::vector<Tensor>& inputs);
  // One tensor for each of node.inputs, as ActivationSource::Run wants them;
  // constants are read from `parts`, which may be an edited copy of the graph
  // with the same nodes.
  // REQUIRES: activations were set and not freed.
  std::vector<Tensor> InputsOf(const GraphParts& parts, const Node& node) const;
  // Sets the outputs of `node`.
  void SetOutputs(const Node& node, const std::vector<Tensor>& outputs);
  // REQUIRES: `id` was set and not freed.
  const Tensor& at(ValueId id) const { return *tensors_[id]; }
  // Frees what no node after `node` reads. Called once for each, in order.
  void FreeAfter(int node);

 private:
  const std::vector<ValueId> inputs_;
  std::vector<std::optional<Tensor>> tensors_;      // By value.
  std::vector<std::vector<ValueId>> last_used_by_;  // By node.
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LIVE_TENSORS_H_
