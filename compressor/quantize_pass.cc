#include "compressor/quantize_pass.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/activation_range.h"
#include "compressor/calibration_walk.h"
#include "compressor/dynamic_grid.h"
#include "compressor/fixed_batch_source.h"
#include "compressor/graph_edit.h"
#include "compressor/layer_target.h"
#include "compressor/live_tensors.h"
#include "compressor/quantize_recurrent.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Base of the seeds by which output positions are drawn.
constexpr uint64_t kSeed = 0x9a7e;

// Whether a bias can be set, and the float weights and bias.
struct FloatLayer {
  bool is_bias_settable = true;
  LayerWeights weights;
};

FloatLayer FloatLayerOf(const GraphParts& parts, const Node& node) {
  FloatLayer layer;
  layer.weights.weights = *parts.values[node.inputs[1]].constant;
  const bool has_bias = node.op_type != "MatMul" && node.OperatorInputs() > 2 &&
                        node.inputs[2] != kNoValue;
  if (!has_bias) return layer;
  const std::optional<Tensor>& bias = parts.values[node.inputs[2]].constant;
  layer.is_bias_settable = bias.has_value();
  layer.weights.bias = bias;
  return layer;
}

absl::Status SetLayer(const QuantizedChoice& choice,
                      const std::optional<LayerSamples>& samples,
                      const WeightOptions& options, GraphParts* parts) {
  Node& node = parts->nodes[choice.node];
  const FloatLayer layer = FloatLayerOf(*parts, node);
  const Shape shape = layer.weights.weights.shape();
  absl::StatusOr<QuantizedLayer> quantized =
      QuantizeLayer(node, layer.weights, choice.weight_axis, choice.bits,
                    layer.is_bias_settable ? samples : std::nullopt, options);
  if (!quantized.ok()) {
    return Annotate(quantized.status(), absl::StrCat("layer ", node.name));
  }
  const bool is_float = quantized->floats.has_value();
  SetConstantInput(parts, choice.node, 1,
                   is_float ? *std::move(quantized->floats)
                            : DequantizeWeights(quantized->weights, shape,
                                                choice.weight_axis));
  if (layer.is_bias_settable && quantized->bias) {
    SetConstantInput(parts, choice.node, 2, *std::move(quantized->bias));
  }
  if (!is_float) node.quantized_weights = std::move(quantized->weights);
  return absl::OkStatus();
}

absl::Status SetRecurrent(const QuantizedChoice& choice,
                          const std::optional<RecurrentSamples>& samples,
                          const WeightOptions& options, GraphParts* parts) {
  Node& node = parts->nodes[choice.node];
  const Tensor weights = *parts->values[node.inputs[1]].constant;
  const Tensor recurrence = *parts->values[node.inputs[2]].constant;
  auto quantized = QuantizeRecurrent(node, weights, recurrence, choice.bits,
                                     samples, options);
  if (!quantized.ok()) {
    return Annotate(quantized.status(), absl::StrCat("layer ", node.name));
  }
  SetConstantInput(parts, choice.node, 1,
                   DequantizeWeights(quantized->weights, weights.shape(),
                                     kRecurrentScaleAxis));
  SetConstantInput(parts, choice.node, 2,
                   DequantizeWeights(quantized->recurrence, recurrence.shape(),
                                     kRecurrentScaleAxis));
  node.quantized_weights = std::move(quantized->weights);
  node.quantized_recurrence = std::move(quantized->recurrence);
  return absl::OkStatus();
}

class QuantizePass {
 public:
  QuantizePass(const Graph& original,
               const std::vector<QuantizedChoice>& layers,
               const WeightOptions& options, ActivationSource& source,
               GraphParts* parts)
      : original_(original),
        options_(options),
        source_(source),
        parts_(*parts),
        is_changed_(original.values().size()),
        original_live_(original),
        quantized_live_(original) {
    for (const QuantizedChoice& layer : layers) {
      layer_of_node_[layer.node] = &layer;
    }
  }

  absl::Status Run(int64_t samples) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                           source_.Inputs(0, samples));
    original_live_.SetInputs(inputs);
    std::vector<Tensor> rounded;
    for (size_t i = 0; i < inputs.size(); ++i) {
      rounded.push_back(Stored(original_.inputs()[i], inputs[i]));
    }
    quantized_live_.SetInputs(rounded);
    // Nothing behind the last layer is looked at.
    const int last = layer_of_node_.rbegin()->first;
    for (int i = 0; i <= last; ++i) {
      LATHE_RETURN_IF_ERROR(Step(i, i == last));
      original_live_.FreeAfter(i);
      quantized_live_.FreeAfter(i);
    }
    return absl::OkStatus();
  }

 private:
  // `tensor` as the quantised network keeps it in value `id`.
  Tensor Stored(ValueId id, const Tensor& tensor) {
    const std::optional<ActivationGrid>& grid = parts_.values[id].grid;
    if (!grid || tensor.type() != DataType::kFloat32) return tensor;
    is_changed_[id] = true;
    return RoundToGrid(tensor, *grid);
  }

  absl::Status Step(int index, bool is_last) {
    const Node& node = original_.nodes()[index];
    const std::vector<Tensor> inputs =
        original_live_.InputsOf(original_.parts(), node);
    // Of the original only the precision is not its own.
    Node plain = node;
    plain.precision = v1::F32;
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                           source_.Run(plain, inputs));
    const auto layer = layer_of_node_.find(index);
    const bool is_layer = layer != layer_of_node_.end();
    if (is_layer) {
      const QuantizedChoice& choice = *layer->second;
      if (IsRecurrentNode(node)) {
        LATHE_RETURN_IF_ERROR(
            SetRecurrent(choice, RecurrentSamples{InputOf(choice), outputs[0]},
                         options_, &parts_));
      } else {
        LATHE_RETURN_IF_ERROR(Quantize(choice, inputs, outputs[0]));
      }
    }
    if (is_last) return absl::OkStatus();
    const bool is_changed =
        is_layer ||
        std::any_of(node.inputs.begin(), node.inputs.end(), [this](ValueId id) {
          return id != kNoValue && is_changed_[id];
        });
    std::vector<Tensor> quantized = outputs;
    if (is_changed) {
      const Node& own = parts_.nodes[index];
      LATHE_ASSIGN_OR_RETURN(
          quantized, source_.Run(own, quantized_live_.InputsOf(parts_, own)));
    }
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      if (node.outputs[o] == kNoValue) continue;
      is_changed_[node.outputs[o]] = is_changed;
      quantized[o] = Stored(node.outputs[o], quantized[o]);
    }
    original_live_.SetOutputs(node, outputs);
    quantized_live_.SetOutputs(node, quantized);
    return absl::OkStatus();
  }

  // What the layer reads in the quantised network.
  Tensor InputOf(const QuantizedChoice& choice) const {
    const Node& node = parts_.nodes[choice.node];
    const Tensor& input = quantized_live_.at(node.inputs[0]);
    return node.precision == v1::INT8_DYNAMIC ? RoundToOwnGrid(input) : input;
  }

  // Gives the layer its integer weights in parts_. `inputs` and `output` are
  // those of the original node.
  absl::Status Quantize(const QuantizedChoice& choice,
                        const std::vector<Tensor>& inputs,
                        const Tensor& output) {
    std::vector<int64_t> all(output.shape()[choice.output_axis]);
    std::iota(all.begin(), all.end(), 0);
    LATHE_ASSIGN_OR_RETURN(
        const Tensor target,
        LayerTarget({original_, choice.node, inputs, output},
                    choice.output_axis, all, quantized_live_, source_));
    const Tensor input = InputOf(choice);
    return SetLayer(
        choice,
        LayerSamples{input, inputs[0], target,
                     MixSeed(kSeed, static_cast<uint64_t>(choice.node))},
        options_, &parts_);
  }

  const Graph& original_;
  const WeightOptions& options_;
  ActivationSource& source_;
  GraphParts& parts_;  // The quantised network in the making.
  std::map<int, const QuantizedChoice*> layer_of_node_;
  std::vector<bool> is_changed_;  // By value: whether the networks differ.
  LiveTensors original_live_;
  LiveTensors quantized_live_;
};

}  // namespace

absl::Status QuantizeNetwork(const Graph& original,
                             const std::vector<QuantizedChoice>& layers,
                             int64_t samples, const WeightOptions& options,
                             ActivationSource& source, GraphParts* parts) {
  if (layers.empty()) return absl::OkStatus();
  if (!options.NeedsSamples()) {
    for (const QuantizedChoice& layer : layers) {
      const bool is_recurrent = IsRecurrentNode(parts->nodes[layer.node]);
      LATHE_RETURN_IF_ERROR(
          is_recurrent ? SetRecurrent(layer, std::nullopt, options, parts)
                       : SetLayer(layer, std::nullopt, options, parts));
    }
    return absl::OkStatus();
  }
  LATHE_ASSIGN_OR_RETURN(
      const int64_t fitting,
      FittingSamples(original, source, samples, /*copies=*/2));
  const std::optional<int64_t> fixed = FixedBatch(original);
  FixedBatchSource batched(original, source, fixed.value_or(1));
  return QuantizePass(original, layers, options,
                      fixed ? static_cast<ActivationSource&>(batched) : source,
                      parts)
      .Run(fitting);
}

}  // namespace lathe
