#include "compressor/smooth.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/calibration_walk.h"
#include "compressor/graph_edit.h"
#include "compressor/tensor.h"

namespace lathe {
namespace {

bool IsFloatConstant(const Graph& graph, ValueId id) {
  return graph.IsConstant(id) &&
         graph.value(id).constant->type() == DataType::kFloat32;
}

// Whether node `index` is a normalisation that takes part.
bool IsSmoothable(const Graph& graph, const std::set<int>& nodes, int index) {
  const Node& node = graph.nodes()[index];
  if (node.op_type != "LayerNormalization" || !node.domain.empty() ||
      !node.post_ops.empty() || node.outputs.size() != 1 ||
      node.IntOr("axis", -1) != -1 || !IsFloatConstant(graph, node.inputs[1])) {
    return false;
  }
  const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
  if (has_bias && !IsFloatConstant(graph, node.inputs[2])) return false;
  const ValueId out = node.outputs[0];
  const std::vector<int>& readers = graph.Consumers(out);
  return !graph.IsOutput(out) && !readers.empty() &&
         std::all_of(readers.begin(), readers.end(), [&](int reader) {
           const Node& layer = graph.nodes()[reader];
           return nodes.count(reader) > 0 && layer.op_type == "MatMul" &&
                  layer.inputs[0] == out &&
                  std::count(layer.inputs.begin(), layer.inputs.end(), out) ==
                      1;
         });
}

// Raises each maximum to the magnitudes of its channel, the last axis.
void RaiseMaxima(const Tensor& tensor, std::vector<float>* maxima) {
  const absl::Span<const float> values = tensor.values<float>();
  maxima->resize(tensor.shape().back());
  for (size_t i = 0; i < values.size(); ++i) {
    float& most = (*maxima)[i % maxima->size()];
    most = std::max(most, std::abs(values[i]));
  }
}

// The largest magnitude with which any reader reads each channel.
std::vector<float> WeightMaxima(const Graph& graph, ValueId value,
                                int64_t channels) {
  std::vector<float> maxima(channels);
  for (const int reader : graph.Consumers(value)) {
    const Tensor& weights =
        *graph.value(graph.nodes()[reader].inputs[1]).constant;
    const absl::Span<const float> values = weights.values<float>();
    const int64_t outs = weights.shape()[1];
    for (size_t i = 0; i < values.size(); ++i) {
      maxima[i / outs] = std::max(maxima[i / outs], std::abs(values[i]));
    }
  }
  return maxima;
}

std::vector<float> ScalesOf(const std::vector<float>& activations,
                            const std::vector<float>& weights,
                            double strength) {
  std::vector<float> scales;
  for (size_t c = 0; c < activations.size(); ++c) {
    const double scale = std::pow(double{activations[c]}, strength) /
                         std::pow(double{weights[c]}, 1 - strength);
    const bool is_usable = activations[c] > 0 && weights[c] > 0 &&
                           std::isnormal(static_cast<float>(scale));
    scales.push_back(is_usable ? static_cast<float>(scale) : 1.0f);
  }
  return scales;
}

// Element i of `tensor` times factor(i).
template <typename Factor>
Tensor Scaled(const Tensor& tensor, Factor factor) {
  const absl::Span<const float> values = tensor.values<float>();
  std::vector<float> scaled(values.begin(), values.end());
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= factor(i);
  return Tensor::Of<float>(tensor.shape(), scaled);
}

void Smooth(const Graph& graph, int index, const std::vector<float>& scales,
            GraphParts* parts) {
  const Node& node = graph.nodes()[index];
  for (const size_t input : {1, 2}) {
    if (input >= node.inputs.size() || node.inputs[input] == kNoValue) continue;
    SetConstantInput(
        parts, index, static_cast<int>(input),
        Scaled(*graph.value(node.inputs[input]).constant,
               [&scales](size_t i) { return 1 / scales[i % scales.size()]; }));
  }
  for (const int reader : graph.Consumers(node.outputs[0])) {
    const Tensor& weights =
        *graph.value(graph.nodes()[reader].inputs[1]).constant;
    const int64_t outs = weights.shape()[1];
    SetConstantInput(parts, reader, 1,
                     Scaled(weights, [&scales, outs](size_t i) {
                       return scales[i / outs];
                     }));
  }
}

}  // namespace

absl::StatusOr<EqualizedNetwork> SmoothLayers(const Graph& graph,
                                              const std::set<int>& nodes,
                                              ActivationSource& source,
                                              const SmoothOptions& options) {
  std::map<int, std::vector<float>> maxima;  // By node.
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    if (IsSmoothable(graph, nodes, i)) maxima[i] = {};
  }
  EqualizedNetwork smoothed{graph, {}};
  if (maxima.empty()) return smoothed;
  LATHE_ASSIGN_OR_RETURN(
      const int64_t samples,
      FittingSamples(graph, source, options.samples, /*copies=*/1));
  LATHE_RETURN_IF_ERROR(
      WalkNetwork(graph, source, samples, [&maxima](const NodeActivations& at) {
        const auto found = maxima.find(at.node);
        if (found != maxima.end()) RaiseMaxima(at.outputs[0], &found->second);
        return absl::OkStatus();
      }));
  GraphParts parts = graph.parts();
  for (const auto& [index, activations] : maxima) {
    const ValueId out = graph.nodes()[index].outputs[0];
    const int64_t channels = static_cast<int64_t>(activations.size());
    Smooth(graph, index,
           ScalesOf(activations, WeightMaxima(graph, out, channels),
                    options.strength),
           &parts);
    smoothed.scaled.insert(out);
  }
  LATHE_ASSIGN_OR_RETURN(smoothed.graph, Graph::Create(std::move(parts)));
  return smoothed;
}

}  // namespace lathe
