// Which channels of a network belong together, found in the graph.
//
// Every channel of every value carries a symbol. A convolution or a linear
// layer makes new symbols for its outputs; element-wise operators, pools and
// normalisations with fixed statistics hand them on; additions and products of
// two values unite them index by index; Concat puts them side by side; Flatten
// repeats them; a Pad of channels makes new ones for its padding. What carries
// one symbol can only be removed together, and removing a symbol everywhere is
// always sound: what is left computes the same as the whole network whose
// consumers ignore those channels. Symbols that reach a graph output, or an
// operator that is not understood, are pinned: they cannot go.
//
// Where a tensor has to stay a box, symbols are united: those at the same place
// in each group of a grouped convolution, in each group of a channel shuffle,
// and those of one attention head. A hidden unit of an LSTM or GRU is one
// symbol, for all its gates and in both directions.
#ifndef LATHE_COMPRESSOR_CHANNEL_GROUPS_H_
#define LATHE_COMPRESSOR_CHANNEL_GROUPS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/shape_inference.h"

namespace lathe {

// One Conv, Gemm, MatMul, LSTM or GRU with constant weights.
struct LayerChannels {
  int node = 0;  // In Graph::nodes().
  // As v1::Layer::kind.
  std::string kind;
  // Axis of the output channels in the weights, inputs[1]. (For LSTM and GRU,
  // that of the gates, each of which has them all.)
  int weight_axis = 0;
  // Axis of the output channels in outputs[0].
  int output_axis = 0;
  // Symbol of each output channel.
  std::vector<int> out_symbols;
  // Symbol of each input channel (feature); empty where they are not
  // understood, and then pinned.
  std::vector<int> in_symbols;
  int group = 0;  // In ChannelGroups::groups.
};

// Whether the layer is an LSTM or GRU.
inline bool IsRecurrent(const LayerChannels& layer) {
  return layer.kind == "lstm" || layer.kind == "gru";
}

// Layers that are connected by shared symbols.
struct ChannelGroup {
  std::vector<int> layers;  // In ChannelGroups::layers, ascending.
  // Whether any of its symbols is pinned: the group keeps all channels.
  bool is_pinned = false;
  // Its symbols by signature: symbols of one class appear in the same layers
  // equally often. Keeping the same share of each class keeps that share of
  // every layer.
  std::vector<std::vector<int>> classes;
};

// What has to change in a node when symbols go.
struct ChannelRewrite {
  enum class Kind {
    // The constant inputs[input] loses slices along `axis`.
    kConstant,
    // Pad: the first `before` and the last `after` symbols are padding.
    kPads,
    // Reshape: dimension `axis` of the target shape.
    kTargetShape,
    // Depthwise Conv: attribute "group"; `symbols` are the input's.
    kConvGroups,
    // Split: its sizes along `axis`, which are `sizes`.
    kSplit,
    // Slice: its bounds along `axis`. `sizes` are the channels before, in and
    // after the slice.
    kSlice,
    // Gather: its constant indices along the channels; `symbols` are the
    // input's.
    kIndices,
    // LSTM, GRU: attribute "hidden_size".
    kHiddenSize,
  };
  Kind kind = Kind::kConstant;
  int node = 0;
  int input = 0;
  int axis = 0;
  std::vector<int> symbols;
  int64_t before = 0;
  int64_t after = 0;
  std::vector<int64_t> sizes;
};

struct ChannelGroups {
  std::vector<LayerChannels> layers;  // In topological order.
  std::vector<ChannelGroup> groups;   // By their first layer.
  std::vector<ChannelRewrite> rewrites;
  // Symbols are numbered from 0.
  int symbol_count = 0;
};

// The channel groups of a canonical graph.
//
// Errors: those of InferShapes.
absl::StatusOr<ChannelGroups> FindChannelGroups(const Graph& graph);

// The group that each symbol's layers are in; -1 for symbols of no layer.
std::vector<int> GroupOfSymbols(const ChannelGroups& groups);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CHANNEL_GROUPS_H_
