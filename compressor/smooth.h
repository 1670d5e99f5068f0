// Channels of normalised activations scaled so that they fit one grid.
#ifndef LATHE_COMPRESSOR_SMOOTH_H_
#define LATHE_COMPRESSOR_SMOOTH_H_

#include <cstdint>
#include <set>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/equalize.h"
#include "compressor/graph.h"

namespace lathe {

struct SmoothOptions {
  // Calibration samples that tell the channels' magnitudes.
  int64_t samples = 128;
  // How much of the difficulty moves from activations to weights.
  double strength = 0.5;
};

// Divides channel c of what a LayerNormalization gives by s[c], in its scale
// and bias, and multiplies the weights that read it by s[c]: s[c] =
// a[c]^strength / w[c]^(1 - strength) for the largest magnitudes a[c] of the
// channel on the samples and w[c] of those weights (Xiao et al., "SmoothQuant",
// 2023, eq. 4). The network computes the same up to rounding.
//
// A normalisation takes part where all its readers are MatMul layers of `nodes`
// and its scale is constant, and read by it alone, over the last axis. Channels
// whose a or w is zero stay as they are.
//
// REQUIRES: `nodes` are indices of layers in FindChannelGroups(graph).
// Errors: those of FittingSamples and of the source.
absl::StatusOr<EqualizedNetwork> SmoothLayers(const Graph& graph,
                                              const std::set<int>& nodes,
                                              ActivationSource& source,
                                              const SmoothOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_SMOOTH_H_
