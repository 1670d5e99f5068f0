#include "compressor/compress.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/activation_range.h"
#include "compressor/channel_groups.h"
#include "compressor/dynamic_grid.h"
#include "compressor/equalize.h"
#include "compressor/graph_edit.h"
#include "compressor/layer_rules.h"
#include "compressor/loss_aware_ranges.h"
#include "compressor/low_rank.h"
#include "compressor/quantize_pass.h"
#include "compressor/smooth.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Whether `space` and `groups` are about the same network.
absl::Status CheckSpace(const Graph& graph, const ChannelGroups& groups,
                        const v1::SearchSpace& space) {
  const int layers = static_cast<int>(groups.layers.size());
  if (space.layers_size() != layers) {
    return absl::InvalidArgumentError(
        absl::StrCat("the search space has ", space.layers_size(),
                     " layers, the model ", layers));
  }
  for (int i = 0; i < layers; ++i) {
    const std::string& name = graph.nodes()[groups.layers[i].node].name;
    if (space.layers(i).name() != name ||
        space.layers(i).group() != groups.layers[i].group) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layer ", i, " is ", space.layers(i).name(), " of group ",
          space.layers(i).group(), " in the search space, ", name, " of group ",
          groups.layers[i].group, " in the model"));
    }
  }
  return absl::OkStatus();
}

// By group. Errors: InvalidArgument - a pinned group should lose channels.
absl::StatusOr<std::vector<double>> KeepRatios(
    const Graph& graph, const ChannelGroups& groups,
    const v1::CompressionPlan& plan) {
  std::vector<double> ratios(groups.groups.size(), 1);
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    const LayerChannels& layer = groups.layers[i];
    const double ratio = plan.layers(static_cast<int>(i)).keep_ratio();
    if (ratio != 1 && groups.groups[layer.group].is_pinned) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer ", graph.nodes()[layer.node].name,
                       ": keep_ratio = ", ratio, ", but it keeps all"));
    }
    ratios[layer.group] = ratio;
  }
  return ratios;
}

// Inputs of the layers that run in INT8.
std::set<ValueId> QuantizedInputs(const Graph& graph,
                                  const ChannelGroups& groups,
                                  const v1::CompressionPlan& plan) {
  std::set<ValueId> inputs;
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    if (plan.layers(static_cast<int>(i)).precision() != v1::INT8) continue;
    inputs.insert(graph.nodes()[groups.layers[i].node].inputs[0]);
  }
  return inputs;
}

bool IsInt8(v1::Precision precision) {
  return precision == v1::INT8 || precision == v1::INT8_DYNAMIC;
}

// `graph` with its integer weights as floats, so that channels can go.
absl::StatusOr<Graph> WithFloatWeights(const Graph& graph) {
  GraphParts parts = graph.parts();
  for (Node& node : parts.nodes) {
    node.quantized_weights.reset();
    node.quantized_recurrence.reset();
    if (IsInt8(node.precision)) node.precision = v1::F32;
  }
  return Graph::Create(std::move(parts));
}

// Whether the layer came with integers that are as small as those asked for.
bool IsQuantizedAlready(const Node& node, const v1::LayerChoice& choice) {
  const auto is_small = [&choice](const std::optional<QuantizedWeights>& w) {
    return w.has_value() && w->bits <= choice.weight_bits();
  };
  return IsInt8(choice.precision()) && is_small(node.quantized_weights) &&
         (!IsRecurrentNode(node) || is_small(node.quantized_recurrence));
}

// Bits of the weights that the layer gets; none where they stay.
std::optional<int> NewBits(const Node& node, const v1::LayerChoice& choice,
                           bool changes_floats) {
  if (IsQuantizedAlready(node, choice)) return std::nullopt;
  if (IsInt8(choice.precision())) return choice.weight_bits();
  // Weights alone.
  if (choice.precision() == v1::F32 && choice.weight_bits() <= 8) {
    return choice.weight_bits();
  }
  if (changes_floats && !IsRecurrentNode(node)) return kFloatBits;
  return std::nullopt;
}

// Sets the precisions; returns the layers that get other weights.
std::vector<QuantizedChoice> SetPrecisions(const ChannelGroups& groups,
                                           const v1::SearchSpace& space,
                                           const v1::CompressionPlan& plan,
                                           const CompressOptions& options,
                                           GraphParts* parts) {
  std::vector<QuantizedChoice> quantized;
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    const LayerChannels& layer = groups.layers[i];
    const v1::LayerChoice& choice = plan.layers(static_cast<int>(i));
    Node& node = parts->nodes[layer.node];
    node.precision = choice.precision();
    const bool changes_floats =
        options.weights.ChangesFloats() &&
        !IsNamed(space.layers(static_cast<int>(i)), options.keep_f32);
    const std::optional<int> bits = NewBits(node, choice, changes_floats);
    if (!IsQuantizedAlready(node, choice)) {
      node.quantized_weights.reset();
      node.quantized_recurrence.reset();
    }
    if (!bits) continue;
    quantized.push_back(
        {layer.node, layer.weight_axis, layer.output_axis, *bits});
  }
  return quantized;
}

// Keeps what `value` holds within `most` steps of its grid, so that the
// kernels' 8-bit grid has no more levels than one of fewer bits. A value
// without producer keeps all.
void Coarsen(ValueId id, int most, GraphParts* parts) {
  const ActivationGrid& grid = *parts->values[id].grid;
  const float limit = grid.scale * static_cast<float>(most);
  for (Node& node : parts->nodes) {
    if (node.outputs[0] != id) continue;
    PostOp clip;
    clip.kind = PostOp::Kind::kClip;
    const float zero = grid.scale * static_cast<float>(grid.zero_point);
    clip.alpha = grid.is_signed ? -limit : -zero;
    clip.beta = limit - zero;
    node.post_ops.push_back(clip);
  }
}

// The values of `inputs` that get a grid: one that came with an unpruned model
// is the model's meaning.
absl::StatusOr<std::set<ValueId>> ValuesWithoutGrid(
    const std::set<ValueId>& inputs, const ActivationStats& stats,
    bool is_pruned, const GraphParts& parts) {
  std::set<ValueId> without;
  for (const ValueId id : inputs) {
    const Value& value = parts.values[id];
    if (value.grid.has_value() && !is_pruned) continue;
    if (stats.tensors.count(value.name) == 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "activation ", value.name,
          " has no statistics, so that its int8 range is not known; collect "
          "them from this model"));
    }
    without.insert(id);
  }
  return without;
}

void SetGrids(const std::map<ValueId, ActivationGrid>& grids,
              const CompressOptions& options, GraphParts* parts) {
  for (const auto& [id, grid] : grids) {
    parts->values[id].grid = grid;
    if (options.range.bits == 8) continue;
    Coarsen(id, LargestLevel(grid.is_signed, options.range.bits), parts);
  }
}

// The grids of the values `ids` of `graph`, whose `layers` get integer weights.
absl::StatusOr<std::map<ValueId, ActivationGrid>> ChooseGrids(
    const Graph& graph, const std::vector<QuantizedChoice>& layers,
    const std::set<ValueId>& ids, const ActivationStats& stats,
    ActivationSource& source, const CompressOptions& options) {
  if (options.range.method == RangeMethod::kLossAware) {
    GraphParts quantized = graph.parts();
    WeightOptions nearest = NearestWeights();
    nearest.scale_scope = options.weights.scale_scope;
    nearest.grids = options.weights.grids;
    LATHE_RETURN_IF_ERROR(QuantizeNetwork(graph, layers, options.weight_samples,
                                          nearest, source, &quantized));
    LossAwareOptions loss;
    loss.range = options.range;
    return LossAwareGrids(graph, quantized, ids, stats, source, loss);
  }
  std::map<ValueId, ActivationGrid> grids;
  for (const ValueId id : ids) {
    grids[id] =
        ChooseGrid(stats.tensors.at(graph.value(id).name), options.range);
  }
  return grids;
}

// Weights of layers in BF16 as the kernels see them, so that the file need not
// hold more.
void RoundToBfloat16(const ChannelGroups& groups,
                     const v1::CompressionPlan& plan, GraphParts* parts) {
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    if (plan.layers(static_cast<int>(i)).precision() != v1::BF16) continue;
    const int node = groups.layers[i].node;
    const Tensor weights =
        *parts->values[parts->nodes[node].inputs[1]].constant;
    SetConstantInput(parts, node, 1, RoundedToBfloat16(weights));
  }
}

// `original` with equalised layers, and `stats` with those of the values that
// it changed.
absl::StatusOr<Graph> Equalize(const Graph& original,
                               const std::vector<QuantizedChoice>& layers,
                               ActivationSource& source,
                               const CompressOptions& options,
                               ActivationStats* stats) {
  const int64_t samples = options.weight_samples;
  std::set<int> nodes;
  for (const QuantizedChoice& layer : layers) nodes.insert(layer.node);
  EqualizedNetwork equalized{original, {}};
  if (options.is_equalized) {
    LATHE_ASSIGN_OR_RETURN(equalized, EqualizeLayers(original, nodes));
  }
  if (options.is_smoothed) {
    SmoothOptions smooth;
    smooth.samples = samples;
    LATHE_ASSIGN_OR_RETURN(
        EqualizedNetwork smoothed,
        SmoothLayers(equalized.graph, nodes, source, smooth));
    smoothed.scaled.insert(equalized.scaled.begin(), equalized.scaled.end());
    equalized = std::move(smoothed);
  }
  if (equalized.scaled.empty()) return original;
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats fresh,
      CollectActivationStats(equalized.graph, source,
                             std::min(samples, source.SampleCount())));
  for (const ValueId id : equalized.scaled) {
    const std::string& name = original.value(id).name;
    const auto found = fresh.tensors.find(name);
    if (found != fresh.tensors.end()) stats->tensors[name] = found->second;
  }
  return std::move(equalized.graph);
}

// Gives `layers` of `original`, whose precisions are set, their weights, and
// the values `inputs` grids.
absl::StatusOr<Graph> Quantize(const Graph& original,
                               const std::vector<QuantizedChoice>& layers,
                               const std::set<ValueId>& inputs, bool is_pruned,
                               const ActivationStats& stats,
                               ActivationSource& source,
                               const CompressOptions& options) {
  ActivationStats own = stats;
  Graph graph = original;
  if (options.is_equalized || options.is_smoothed) {
    LATHE_ASSIGN_OR_RETURN(graph,
                           Equalize(original, layers, source, options, &own));
  }
  GraphParts parts = graph.parts();
  LATHE_ASSIGN_OR_RETURN(const std::set<ValueId> ids,
                         ValuesWithoutGrid(inputs, own, is_pruned, parts));
  LATHE_ASSIGN_OR_RETURN(const auto grids,
                         ChooseGrids(graph, layers, ids, own, source, options));
  SetGrids(grids, options, &parts);
  LATHE_RETURN_IF_ERROR(QuantizeNetwork(graph, layers, options.weight_samples,
                                        options.weights, source, &parts));
  return Graph::Create(std::move(parts));
}

}  // namespace

absl::StatusOr<Graph> Compress(const Graph& graph, const v1::SearchSpace& space,
                               const v1::CompressionPlan& plan,
                               const ActivationStats& stats,
                               ActivationSource& source,
                               const CompressOptions& options) {
  LATHE_RETURN_IF_ERROR(ValidatePlan(space, plan));
  LATHE_ASSIGN_OR_RETURN(const ChannelGroups groups, FindChannelGroups(graph));
  LATHE_RETURN_IF_ERROR(CheckSpace(graph, groups, space));
  LATHE_ASSIGN_OR_RETURN(const std::vector<double> keep_ratios,
                         KeepRatios(graph, groups, plan));
  const std::set<ValueId> quantized = QuantizedInputs(graph, groups, plan);
  const bool is_pruned = std::any_of(keep_ratios.begin(), keep_ratios.end(),
                                     [](double ratio) { return ratio != 1; });
  GraphParts parts;
  std::optional<ActivationStats> pruned_stats;
  if (is_pruned) {
    LATHE_ASSIGN_OR_RETURN(const Graph real, WithFloatWeights(graph));
    LATHE_ASSIGN_OR_RETURN(
        RebuiltNetwork network,
        PruneNetwork(real, groups, keep_ratios, quantized, source,
                     options.prune, options.prune_cache));
    parts = network.graph.parts();
    pruned_stats = std::move(network.stats);
  } else {
    parts = graph.parts();
  }
  const std::vector<QuantizedChoice> layers =
      SetPrecisions(groups, space, plan, options, &parts);
  RoundToBfloat16(groups, plan, &parts);
  LATHE_ASSIGN_OR_RETURN(Graph compressed, Graph::Create(std::move(parts)));
  if (!quantized.empty() || !layers.empty()) {
    LATHE_ASSIGN_OR_RETURN(
        compressed,
        Quantize(compressed, layers, quantized, is_pruned,
                 pruned_stats ? *pruned_stats : stats, source, options));
  }
  if (options.weights.ChangesFloats()) {
    GraphParts changed = compressed.parts();
    RoundToBfloat16(groups, plan, &changed);
    LATHE_ASSIGN_OR_RETURN(compressed, Graph::Create(std::move(changed)));
  }
  if (options.low_rank == 0) return compressed;
  std::set<std::string> left_alone;
  for (const v1::Layer& layer : space.layers()) {
    if (IsNamed(layer, options.keep_f32)) left_alone.insert(layer.name());
  }
  return FactorLinearLayers(compressed, options.low_rank, left_alone);
}

}  // namespace lathe
