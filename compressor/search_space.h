// The decisions that a network offers.
#ifndef LATHE_COMPRESSOR_SEARCH_SPACE_H_
#define LATHE_COMPRESSOR_SEARCH_SPACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/layer_rules.h"
#include "proto/types.pb.h"

namespace lathe {

// Which layers are offered INT8_DYNAMIC.
enum class DynamicLayers {
  kNone,
  // LSTM and GRU, for which no other integer kernel is.
  kRecurrent,
  // Those, Gemm and MatMul.
  kLinear,
};

struct SpaceOptions {
  // Whether the machine computes bf16 faster than by emulation.
  bool has_bf16 = false;
  DynamicLayers dynamic = DynamicLayers::kRecurrent;
  // Widths of INT8 and INT8_DYNAMIC weights, descending.
  std::vector<int> weight_bits = {8, 6, 5, 4, 3, 2};
  // Widths of weights that are offered for layers computed in F32, descending.
  std::vector<int> weight_only_bits;
  // Kept channels are multiples of this (the fast block of the kernels)
  // whenever the layer has at least two blocks.
  int64_t channel_block = 8;
  // Least share of the channels that may be kept.
  double least_keep_ratio = 0.25;
  // Most keep ratios offered for one group.
  int most_keep_ratios = 8;
  // Layers that are left alone.
  LayerRules rules;
};

// The search space of a canonical graph: one Layer per Conv, Gemm, MatMul, LSTM
// and GRU with constant weights, in topological order. Groups of layers whose
// output channels must go together (residual additions, depthwise convolutions,
// concatenations feeding them, ...) are found in the graph. Layers whose
// channels reach a graph output, or an operator that mixes channels in a way
// that is not understood, keep all of them.
//
// Errors:
//   InvalidArgument - shapes do not fit; a rule fits no layer.
//   FailedPrecondition - no layer can be compressed.
absl::StatusOr<v1::SearchSpace> MakeSearchSpace(const Graph& graph,
                                                const SpaceOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_SEARCH_SPACE_H_
