// Applies a plan to a network.
#ifndef LATHE_COMPRESSOR_COMPRESS_H_
#define LATHE_COMPRESSOR_COMPRESS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_range.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/graph.h"
#include "compressor/prune_network.h"
#include "compressor/quantize_layer.h"
#include "proto/types.pb.h"

namespace lathe {

struct CompressOptions {
  RangeOptions range;
  // Whether layers are equalised (equalize.h).
  bool is_equalized = false;
  // Whether normalised activations are smoothed (smooth.h).
  bool is_smoothed = false;
  WeightOptions weights;
  // Samples that the options of the weights look at.
  int64_t weight_samples = 128;
  PruneOptions prune;
  // Share of the squared singular values that linear layers in F32 keep
  // (low_rank.h); 0: they stay whole.
  double low_rank = 0;
  // Layers whose float weights stay as they are, apart from pruning and
  // rebuild: patterns as in LayerRules::keep_f32 (layer_rules.h).
  std::vector<std::string> keep_f32;
  // Spares scoring the channels anew for each plan; null: nothing is kept. Must
  // outlive the call.
  PruneCache* prune_cache = nullptr;
};

// The canonical `graph` with `plan` applied: channels removed, weights rebuilt,
// weights quantised, ranges set, precisions set. Pure: equal arguments give
// equal graphs.
//
// `space` is MakeSearchSpace(graph, ...); `stats` are those of the unpruned
// graph and are used where the plan prunes nothing; else they are taken anew
// from `source`.
//
// Errors:
//   InvalidArgument - the plan is not legal in the space.
//   FailedPrecondition - the plan cannot work on this graph (INFEASIBLE).
absl::StatusOr<Graph> Compress(const Graph& graph, const v1::SearchSpace& space,
                               const v1::CompressionPlan& plan,
                               const ActivationStats& stats,
                               ActivationSource& source,
                               const CompressOptions& options = {});

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_COMPRESS_H_
