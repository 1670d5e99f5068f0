// Which channels go, and the graph without them.
#ifndef LATHE_COMPRESSOR_PRUNE_H_
#define LATHE_COMPRESSOR_PRUNE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

// Whether each symbol is kept: of every class of a group, the share
// keep_ratio_of_group[group] with the highest scores; among equals the first.
//
// REQUIRES: keep_ratio_of_group.size() == groups.groups.size(), with 1 for
// pinned groups.
std::vector<bool> ChooseKeptSymbols(
    const ChannelGroups& groups, absl::Span<const double> scores,
    absl::Span<const double> keep_ratio_of_group);

// Indices whose symbols are kept, ascending.
std::vector<int64_t> KeptIndices(absl::Span<const int> symbols,
                                 const std::vector<bool>& is_kept);

// `graph` without the channels whose symbols are not kept. Nodes keep their
// indices and names, activations their ids and names.
//
// REQUIRES: `groups` are FindChannelGroups(graph); no pinned symbol goes.
absl::StatusOr<Graph> RemoveChannels(const Graph& graph,
                                     const ChannelGroups& groups,
                                     const std::vector<bool>& is_kept);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_PRUNE_H_
