// What a pruned network must compute, made without removing anything.
#ifndef LATHE_COMPRESSOR_TESTING_MASKED_H_
#define LATHE_COMPRESSOR_TESTING_MASKED_H_

#include <vector>

#include "compressor/channel_groups.h"
#include "compressor/graph.h"
#include "compressor/graph_edit.h"
#include "compressor/tensor.h"

namespace lathe {

// `tensor` with zeros in the slices along `axis` whose symbols are not kept.
inline Tensor WithZeros(const Tensor& tensor, int axis,
                        const std::vector<int>& symbols,
                        const std::vector<bool>& is_kept) {
  const int64_t inner =
      ElementCount(absl::Span<const int64_t>(tensor.shape()).subspan(axis + 1));
  std::vector<float> values(tensor.values<float>().begin(),
                            tensor.values<float>().end());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t channel = i / inner % tensor.shape()[axis];
    if (!is_kept[symbols[channel]]) values[i] = 0;
  }
  return Tensor::Of<float>(tensor.shape(), values);
}

// The whole network with the weights of lost input channels set to zero.
inline Graph Masked(const Graph& graph, const ChannelGroups& groups,
                    const std::vector<bool>& is_kept) {
  GraphParts parts = graph.parts();
  const auto mask = [&](int node, int input, int axis,
                        const std::vector<int>& symbols) {
    const Tensor old = *graph.value(graph.nodes()[node].inputs[input]).constant;
    SetConstantInput(&parts, node, input,
                     WithZeros(old, axis, symbols, is_kept));
  };
  for (const LayerChannels& layer : groups.layers) {
    if (layer.kind == "depthwise_conv") continue;
    if (IsRecurrent(layer)) mask(layer.node, 2, 2, layer.out_symbols);
    if (layer.in_symbols.empty()) continue;
    mask(layer.node, 1, IsRecurrent(layer) ? 2 : 1 - layer.weight_axis,
         layer.in_symbols);
  }
  return *Graph::Create(std::move(parts));
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_MASKED_H_
