#include "compressor/search_space.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/channel_groups.h"
#include "compressor/dynamic_grid.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Positions of a [batch, channels, ...] shape.
int64_t Pixels(const Shape& shape) {
  return shape.size() < 3
             ? 1
             : ElementCount(absl::Span<const int64_t>(shape).subspan(2));
}

void FillConv(absl::Span<const ValueInfo> infos, const Node& node,
              v1::Layer* layer) {
  const Shape& weights = infos[node.inputs[1]].shape;
  const size_t spatial = weights.size() - 2;
  const std::vector<int64_t> strides =
      node.IntsOr("strides", std::vector<int64_t>(spatial, 1));
  layer->set_in_channels(weights[1] * node.IntOr("group", 1));
  layer->set_out_channels(weights[0]);
  layer->set_kernel_height(spatial > 1 ? weights[2] : 1);
  layer->set_kernel_width(weights.back());
  layer->set_stride(strides.empty() ? 1 : strides[0]);
  layer->set_in_pixels(Pixels(infos[node.inputs[0]].shape));
  layer->set_out_pixels(Pixels(infos[node.outputs[0]].shape));
}

void FillLinear(absl::Span<const ValueInfo> infos, const Node& node,
                int weight_axis, int64_t batch, v1::Layer* layer) {
  const Shape& weights = infos[node.inputs[1]].shape;
  const Shape& out = infos[node.outputs[0]].shape;
  layer->set_in_channels(weights[1 - weight_axis]);
  layer->set_out_channels(weights[weight_axis]);
  layer->set_kernel_height(1);
  layer->set_kernel_width(1);
  layer->set_stride(1);
  // A sequence's positions all go through the layer.
  const int64_t rows =
      std::max<int64_t>(1, ElementCount(out) / batch /
                               std::max<int64_t>(1, weights[weight_axis]));
  layer->set_in_pixels(rows);
  layer->set_out_pixels(rows);
}

void FillRecurrent(absl::Span<const ValueInfo> infos, const Node& node,
                   v1::Layer* layer) {
  const Shape& input = infos[node.inputs[0]].shape;
  const int64_t batch_axis = node.IntOr("layout", 0) != 0 ? 0 : 1;
  layer->set_in_channels(input[2]);
  layer->set_out_channels(infos[node.inputs[2]].shape[2]);
  layer->set_kernel_height(1);
  layer->set_kernel_width(1);
  layer->set_stride(1);
  layer->set_in_pixels(input[1 - batch_axis]);
  layer->set_out_pixels(input[1 - batch_axis]);
}

// REQUIRES: the layer's kind is set.
void FillPrecisions(const SpaceOptions& options, bool is_recurrent,
                    v1::Layer* layer) {
  const auto add = [layer](v1::Precision precision, int bits) {
    v1::PrecisionOption* option = layer->add_precisions();
    option->set_precision(precision);
    option->set_weight_bits(bits);
  };
  const bool is_linear = layer->kind() == "linear" || layer->kind() == "matmul";
  const bool is_dynamic =
      (is_recurrent && options.dynamic != DynamicLayers::kNone) ||
      (is_linear && options.dynamic == DynamicLayers::kLinear);
  add(v1::F32, 32);
  // Recurrent kernels know neither bf16 nor a grid from before the call.
  if (!is_recurrent) {
    if (options.has_bf16) add(v1::BF16, 16);
    for (const int bits : options.weight_bits) add(v1::INT8, bits);
  }
  for (const int bits : options.weight_bits) {
    if (is_dynamic) add(v1::INT8_DYNAMIC, bits);
  }
  for (const int bits : options.weight_only_bits) add(v1::F32, bits);
}

// Whether keeping count / total of everything gives every layer of the group a
// whole number of blocks, and every class a whole number of symbols.
bool IsFeasible(const ChannelGroups& groups, const ChannelGroup& group,
                int64_t count, int64_t total, int64_t block) {
  const auto is_whole = [count, total](int64_t n, int64_t multiple) {
    return n * count % total == 0 && n * count / total % multiple == 0;
  };
  return std::all_of(group.layers.begin(), group.layers.end(),
                     [&](int layer) {
                       return is_whole(groups.layers[layer].out_symbols.size(),
                                       block);
                     }) &&
         std::all_of(group.classes.begin(), group.classes.end(),
                     [&](const std::vector<int>& symbols) {
                       return is_whole(symbols.size(), 1);
                     });
}

// At most `most` of `ratios`, evenly spread, with the first and the last.
std::vector<double> Thin(const std::vector<double>& ratios, int most) {
  const int count = static_cast<int>(ratios.size());
  if (count <= most) return ratios;
  std::vector<double> thinned = {ratios[0]};
  for (int i = 1; i < most; ++i) {
    thinned.push_back(
        ratios[(2 * i * (count - 1) + (most - 1)) / (2 * (most - 1))]);
  }
  return thinned;
}

std::vector<double> KeepRatios(const ChannelGroups& groups,
                               const ChannelGroup& group,
                               const SpaceOptions& options) {
  int64_t total = groups.layers[group.layers[0]].out_symbols.size();
  for (const int layer : group.layers) {
    total = std::min<int64_t>(total, groups.layers[layer].out_symbols.size());
  }
  const int64_t block = options.channel_block;
  std::vector<double> ratios = {1};
  if (group.is_pinned || total < 2 * block) return ratios;
  for (int64_t count = (total - 1) / block * block; count > 0; count -= block) {
    const double ratio = static_cast<double>(count) / total;
    if (ratio < options.least_keep_ratio) break;
    if (IsFeasible(groups, group, count, total, block)) ratios.push_back(ratio);
  }
  return Thin(ratios, options.most_keep_ratios);
}

}  // namespace

absl::StatusOr<v1::SearchSpace> MakeSearchSpace(const Graph& graph,
                                                const SpaceOptions& options) {
  const int64_t batch = FixedBatch(graph).value_or(1);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  LATHE_ASSIGN_OR_RETURN(const ChannelGroups groups, FindChannelGroups(graph));
  if (groups.layers.empty()) {
    return absl::FailedPreconditionError(
        "the model has no Conv, Gemm or MatMul with constant weights: there is "
        "nothing to compress");
  }
  const std::vector<int> group_of_symbol = GroupOfSymbols(groups);
  v1::SearchSpace space;
  for (const LayerChannels& channels : groups.layers) {
    const Node& node = graph.nodes()[channels.node];
    v1::Layer* layer = space.add_layers();
    layer->set_name(node.name);
    layer->set_kind(channels.kind);
    if (node.op_type == "Conv") {
      FillConv(infos, node, layer);
    } else if (IsRecurrentNode(node)) {
      FillRecurrent(infos, node, layer);
    } else {
      FillLinear(infos, node, channels.weight_axis, batch, layer);
    }
    layer->set_parameters(ElementCount(infos[node.inputs[1]].shape));
    if (IsRecurrentNode(node)) {
      layer->set_parameters(layer->parameters() +
                            ElementCount(infos[node.inputs[2]].shape));
    }
    layer->set_macs(layer->parameters() * layer->out_pixels());
    FillPrecisions(options, IsRecurrentNode(node), layer);
    for (const double ratio :
         KeepRatios(groups, groups.groups[channels.group], options)) {
      layer->add_keep_ratios(ratio);
    }
    layer->set_group(channels.group);
    std::set<int> from;
    for (const int symbol : channels.in_symbols) {
      if (group_of_symbol[symbol] >= 0) from.insert(group_of_symbol[symbol]);
    }
    for (const int group : from) layer->add_input_groups(group);
  }
  LATHE_RETURN_IF_ERROR(ApplyRules(options.rules, &space));
  return space;
}

}  // namespace lathe
