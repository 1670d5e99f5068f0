#include "compressor/prune_network.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "compressor/activation_scores.h"
#include "compressor/batch_norm_scores.h"
#include "compressor/prune.h"
#include "compressor/redundancy.h"

namespace lathe {
namespace {

// Taylor runs half the network once for each channel.
constexpr int64_t kMostTaylorSamples = 64;

}  // namespace

absl::StatusOr<std::vector<double>> ScoreSymbols(const Graph& graph,
                                                 const ChannelGroups& groups,
                                                 PruneCriterion criterion,
                                                 ActivationSource& source,
                                                 int64_t samples) {
  switch (criterion) {
    case PruneCriterion::kActivation:
      return ScoreByActivations(graph, groups, source, samples);
    case PruneCriterion::kTaylor:
      return ScoreByTaylor(graph, groups, source,
                           std::min(samples, kMostTaylorSamples));
    case PruneCriterion::kRedundancy: {
      RedundancyOptions options;
      options.samples = samples;
      return ScoreByRedundancy(graph, groups, source, options);
    }
    default:
      return ScoreByWeights(graph, groups, criterion);
  }
}

absl::Status FillCache(const Graph& graph, const ChannelGroups& groups,
                       ActivationSource& source, const PruneOptions& options,
                       PruneCache* cache) {
  if (cache->symbol_scores) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(cache->symbol_scores,
                         options.criterion == PruneCriterion::kGamma
                             ? ScoreByGamma(graph, groups, options.gammas)
                             : ScoreSymbols(graph, groups, options.criterion,
                                            source, options.samples));
  return absl::OkStatus();
}

absl::StatusOr<RebuiltNetwork> PruneNetwork(
    const Graph& graph, const ChannelGroups& groups,
    absl::Span<const double> keep_ratio_of_group,
    const std::set<ValueId>& observed, ActivationSource& source,
    const PruneOptions& options, PruneCache* cache) {
  PruneCache own;
  if (cache == nullptr) cache = &own;
  LATHE_RETURN_IF_ERROR(FillCache(graph, groups, source, options, cache));
  const std::vector<bool> is_kept =
      ChooseKeptSymbols(groups, *cache->symbol_scores, keep_ratio_of_group);
  LATHE_ASSIGN_OR_RETURN(Graph pruned, RemoveChannels(graph, groups, is_kept));
  if (options.rebuild != RebuildMethod::kNone) {
    RebuildPassOptions pass;
    pass.method = options.rebuild;
    pass.samples = options.samples;
    pass.ridge = options.ridge;
    pass.observed = observed;
    return RebuildNetwork(graph, groups, is_kept, pruned, source, pass);
  }
  RebuiltNetwork network{std::move(pruned), {}};
  if (!observed.empty()) {
    LATHE_ASSIGN_OR_RETURN(
        network.stats, CollectActivationStats(
                           network.graph, source,
                           std::min(options.samples, source.SampleCount())));
  }
  return network;
}

}  // namespace lathe
