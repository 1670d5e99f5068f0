// A network without some of its channels, made to answer as before.
#ifndef LATHE_COMPRESSOR_PRUNE_NETWORK_H_
#define LATHE_COMPRESSOR_PRUNE_NETWORK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/channel_groups.h"
#include "compressor/channel_scores.h"
#include "compressor/graph.h"
#include "compressor/rebuild_pass.h"

namespace lathe {

struct PruneOptions {
  PruneCriterion criterion = PruneCriterion::kRedundancy;
  RebuildMethod rebuild = RebuildMethod::kRidge;
  // Calibration samples for scores, rebuild and statistics.
  int64_t samples = 256;
  // Of the rebuild; a share of the Gram matrix's mean diagonal.
  double ridge = 1e-2;
  // BatchNormScales of the model as it came, for kGamma.
  std::map<std::string, std::vector<float>> gammas;
};

// What scoring found, so that the next plan for the same graph, source and
// criterion need not look again. Not thread-safe.
struct PruneCache {
  std::optional<std::vector<double>> symbol_scores;
};

// By symbol; higher is worth more.
//
// REQUIRES: `criterion` is not kGamma, which needs more.
// Errors: those of ScoreByActivations, ScoreByTaylor and ScoreByRedundancy.
absl::StatusOr<std::vector<double>> ScoreSymbols(const Graph& graph,
                                                 const ChannelGroups& groups,
                                                 PruneCriterion criterion,
                                                 ActivationSource& source,
                                                 int64_t samples);

// Scores the symbols by options.criterion, unless `cache` has them already.
//
// Errors: those of ScoreSymbols and ScoreByGamma.
absl::Status FillCache(const Graph& graph, const ChannelGroups& groups,
                       ActivationSource& source, const PruneOptions& options,
                       PruneCache* cache);

// `graph` with the share keep_ratio_of_group[group] of each group's channels,
// its layers rebuilt, and the statistics of the `observed` values.
//
// REQUIRES: `groups` are FindChannelGroups(graph); ratios as
// ChooseKeptSymbols wants them; `cache` is null or belongs to this graph,
// source and criterion.
// Errors:
//   FailedPrecondition - an observed activation is not finite.
//   Those of ScoreSymbols, ScoreByGamma and RebuildNetwork.
absl::StatusOr<RebuiltNetwork> PruneNetwork(
    const Graph& graph, const ChannelGroups& groups,
    absl::Span<const double> keep_ratio_of_group,
    const std::set<ValueId>& observed, ActivationSource& source,
    const PruneOptions& options, PruneCache* cache);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_PRUNE_NETWORK_H_
