// Original and pruned network side by side: every pruned layer is rebuilt on
// what the already rebuilt layers before it give.
#ifndef LATHE_COMPRESSOR_REBUILD_PASS_H_
#define LATHE_COMPRESSOR_REBUILD_PASS_H_

#include <cstdint>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"
#include "compressor/rebuild.h"

namespace lathe {

struct RebuildPassOptions {
  // REQUIRES: not kNone.
  RebuildMethod method = RebuildMethod::kRidge;
  // Samples that are run, as one batch; fewer where the source has fewer or
  // activations would take more than 1 GiB.
  int64_t samples = 128;
  double ridge = 1e-2;
  // Values whose statistics are wanted.
  std::set<ValueId> observed;
};

struct RebuiltNetwork {
  Graph graph;
  // Of the rebuilt network, for the observed values.
  ActivationStats stats;
};

// Rebuilds (rebuild.h), in topological order, the layers of `pruned` whose
// inputs lost channels, towards what they give in `original`. Where a residual
// addition follows a layer at once, the target is the sum, so that the layer
// also makes good what the other branch lost.
//
// REQUIRES: `groups` are FindChannelGroups(original), `pruned` is
// RemoveChannels(original, groups, is_kept).
// Errors:
//   FailedPrecondition - an observed activation is not finite.
//   Those of the source.
absl::StatusOr<RebuiltNetwork> RebuildNetwork(
    const Graph& original, const ChannelGroups& groups,
    const std::vector<bool>& is_kept, const Graph& pruned,
    ActivationSource& source, const RebuildPassOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REBUILD_PASS_H_
