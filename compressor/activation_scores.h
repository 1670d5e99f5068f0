// How much each channel is worth, by what it does on calibration samples.
#ifndef LATHE_COMPRESSOR_ACTIVATION_SCORES_H_
#define LATHE_COMPRESSOR_ACTIVATION_SCORES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

// By symbol, the sum over the layers that make it of the mean magnitude of the
// channel's outputs, post-ops included.
//
// Errors: those of FittingSamples and of the source.
absl::StatusOr<std::vector<double>> ScoreByActivations(
    const Graph& graph, const ChannelGroups& groups, ActivationSource& source,
    int64_t samples);

// By symbol, the sum over the layers that make it of the mean over samples of
// |dL/dg|, where g = 1 scales the channel's outputs and L is the cross entropy
// of the answer with the network's own best class (Molchanov et al., "Pruning
// Convolutional Neural Networks for Resource Efficient Inference", 2017).
// There are no labels here and no gradients: the derivative is a difference
// quotient of the reference to one run of the rest of the network for each
// channel, so this takes (channels x half a network) runs. Pinned symbols are
// not looked at and score 0.
//
// Errors:
//   FailedPrecondition - the first output is not [samples, classes] with at
//     least 2 classes: then there is no best class.
//   Those of FittingSamples and of the source.
absl::StatusOr<std::vector<double>> ScoreByTaylor(const Graph& graph,
                                                  const ChannelGroups& groups,
                                                  ActivationSource& source,
                                                  int64_t samples);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ACTIVATION_SCORES_H_
