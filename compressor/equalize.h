// Channels of consecutive layers scaled so that one grid fits them all.
#ifndef LATHE_COMPRESSOR_EQUALIZE_H_
#define LATHE_COMPRESSOR_EQUALIZE_H_

#include <set>

#include "absl/status/statusor.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

struct EqualizedNetwork {
  Graph graph;
  // Values whose channels were scaled: their statistics are no longer those of
  // the original.
  std::set<ValueId> scaled;
};

// Scales channel c of what a layer makes by 1 / s[c] and the weights with which
// the next layer reads it by s[c], s[c] = sqrt(r1[c] / r2[c]) for the largest
// magnitudes r1 of the weights that make channel c and r2 of those that read it
// (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
// Correction", 2019, eq. 9), over and over until nothing changes much. The
// network computes the same up to rounding.
//
// Pairs are two Conv layers of `nodes` of which the second is the only reader
// of the first, the first has at most ReLU and LeakyReLU behind it, and no
// residual addition. Channels whose r1 or r2 is zero stay as they are.
//
// REQUIRES: `nodes` are indices of layers in FindChannelGroups(graph).
absl::StatusOr<EqualizedNetwork> EqualizeLayers(const Graph& graph,
                                                const std::set<int>& nodes);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_EQUALIZE_H_
