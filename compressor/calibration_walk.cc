#include "compressor/calibration_walk.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/fixed_batch_source.h"
#include "compressor/live_tensors.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Bytes that live activations may take.
constexpr int64_t kMostBytes = int64_t{1} << 30;

// Largest sum of the bytes of a batch's activations alive at once.
absl::StatusOr<int64_t> PeakBytes(const Graph& graph, int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  const auto bytes = [&infos](ValueId id) {
    return ElementCount(infos[id].shape) *
           static_cast<int64_t>(ElementBytes(infos[id].type));
  };
  int64_t alive = 0;
  for (const ValueId id : graph.inputs()) alive += bytes(id);
  int64_t peak = alive;
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[i];
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) alive += bytes(id);
    }
    peak = std::max(peak, alive);
    const std::set<ValueId> read(node.inputs.begin(), node.inputs.end());
    for (const ValueId id : read) {
      const bool is_last = id != kNoValue && !graph.IsConstant(id) &&
                           graph.Consumers(id).back() == i;
      if (is_last) alive -= bytes(id);
    }
  }
  return peak;
}

}  // namespace

absl::StatusOr<int64_t> FittingSamples(const Graph& graph,
                                       ActivationSource& source, int64_t wanted,
                                       int copies) {
  const int64_t batch = FixedBatch(graph).value_or(1);
  LATHE_ASSIGN_OR_RETURN(const int64_t peak_bytes, PeakBytes(graph, batch));
  const int64_t fitting =
      kMostBytes / (copies * std::max<int64_t>(1, peak_bytes));
  const int64_t samples =
      std::min({wanted / batch, source.SampleCount() / batch,
                std::max<int64_t>(1, fitting)}) *
      batch;
  if (samples < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("compressing needs at least ", batch,
                     " calibration samples, not ", source.SampleCount()));
  }
  return samples;
}

absl::Status WalkNetwork(
    const Graph& graph, ActivationSource& source, int64_t samples,
    const std::function<absl::Status(const NodeActivations&)>& visit) {
  const std::optional<int64_t> fixed = FixedBatch(graph);
  FixedBatchSource batched(graph, source, fixed.value_or(1));
  ActivationSource& runner =
      fixed ? static_cast<ActivationSource&>(batched) : source;
  LiveTensors live(graph);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         runner.Inputs(0, samples));
  live.SetInputs(inputs);
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[i];
    const std::vector<Tensor> node_inputs = live.InputsOf(graph.parts(), node);
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                           runner.Run(node, node_inputs));
    LATHE_RETURN_IF_ERROR(visit({i, node_inputs, outputs}));
    live.SetOutputs(node, outputs);
    live.FreeAfter(i);
  }
  return absl::OkStatus();
}

}  // namespace lathe
