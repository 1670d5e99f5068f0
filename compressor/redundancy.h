// How much of each channel the others can make good.
#ifndef LATHE_COMPRESSOR_REDUNDANCY_H_
#define LATHE_COMPRESSOR_REDUNDANCY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

struct RedundancyOptions {
  // Calibration samples that are run.
  int64_t samples = 128;
  // Ridge, as a share of the Gram matrix's mean diagonal.
  double ridge = 1e-3;
};

// By symbol, the step in which it goes when channels are removed one by one,
// always the one whose loss costs least: the sum over the layers that read it
// of the squared error that is left in the layer's output when its weights for
// the remaining channels are solved anew, as a share of the output's variance.
// Symbols of one group go in an order that keeps the shares of its classes
// alike. (Backward elimination; the error is that of He et al., "Channel
// Pruning for Accelerating Very Deep Neural Networks", 2017, which the rebuild
// then minimises.) Pinned groups score 0.
//
// The layer's inputs are those of the unpruned network. All errors of a step
// come from the inverse Gram matrix of what is left, which is down-dated by
// block; a layer of n inputs takes O(n^3) for the whole order.
//
// Errors: those of FittingSamples and of the source.
absl::StatusOr<std::vector<double>> ScoreByRedundancy(
    const Graph& graph, const ChannelGroups& groups, ActivationSource& source,
    const RedundancyOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REDUNDANCY_H_
