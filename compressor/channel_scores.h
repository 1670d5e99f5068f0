// How much each channel is worth, by its weights alone.
#ifndef LATHE_COMPRESSOR_CHANNEL_SCORES_H_
#define LATHE_COMPRESSOR_CHANNEL_SCORES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

// By what channels are chosen. All but kRedundancy score a symbol by the sum
// over the layers that make it.
enum class PruneCriterion {
  // L1 norm of the filter (Li et al., "Pruning Filters for Efficient ConvNets",
  // 2017).
  kL1,
  // L2 norm of the filter.
  kL2,
  // Sum of the distances to the layer's other filters: those nearest the
  // geometric median go (He et al., "Filter Pruning via Geometric Median",
  // 2019).
  kGeometricMedian,
  // Mean magnitude of what the channel gives (activation_scores.h).
  kActivation,
  // First-order effect on the answer (activation_scores.h).
  kTaylor,
  // What the layers that read the channel cannot make good from the others
  // (redundancy.h).
  kRedundancy,
  // Magnitude of the scale of the batch norm behind the layer (Liu et al.,
  // "Learning Efficient Convolutional Networks through Network Slimming",
  // 2017; batch_norm_scores.h).
  kGamma,
};

// In the order of the enumeration: "l1", "l2", "fpgm", "activation",
// "taylor", "redundancy", "gamma".
const std::vector<std::string>& PruneCriterionNames();

// Errors: InvalidArgument - no such name; lists those that are.
absl::StatusOr<PruneCriterion> ParsePruneCriterion(absl::string_view name);

// By symbol; higher is worth more.
//
// REQUIRES: `criterion` is one of kL1, kL2, kGeometricMedian.
std::vector<double> ScoreByWeights(const Graph& graph,
                                   const ChannelGroups& groups,
                                   PruneCriterion criterion);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CHANNEL_SCORES_H_
