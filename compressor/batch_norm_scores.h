// How much each channel is worth, by the batch norm that scales it.
#ifndef LATHE_COMPRESSOR_BATCH_NORM_SCORES_H_
#define LATHE_COMPRESSOR_BATCH_NORM_SCORES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

// The scales (gamma) of the batch norms of a parsed graph that stand right
// behind a node, by that node's name. Canonical graphs have none: there they
// are folded into the weights.
std::map<std::string, std::vector<float>> BatchNormScales(const Graph& parsed);

// By symbol, the sum over the layers that make it of the magnitude of their
// batch norm's scale; higher is worth more.
//
// Errors:
//   FailedPrecondition - no layer of a group that can lose channels has a scale
//     in `gammas` for each channel; names one.
absl::StatusOr<std::vector<double>> ScoreByGamma(
    const Graph& graph, const ChannelGroups& groups,
    const std::map<std::string, std::vector<float>>& gammas);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_BATCH_NORM_SCORES_H_
