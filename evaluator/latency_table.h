// What each layer would cost on this machine, measured layer by layer.
#ifndef LATHE_EVALUATOR_LATENCY_TABLE_H_
#define LATHE_EVALUATOR_LATENCY_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/graph.h"
#include "evaluator/executor.h"
#include "proto/types.pb.h"

namespace lathe {

struct LatencyTableOptions {
  int64_t batch = 1;
  // Keep ratios at which the whole model is timed; each layer takes the
  // nearest it offers. And pairs of them that neighbouring groups take in
  // turn.
  std::vector<double> keep_levels = {1, 0.75, 0.5, 0.25};
  std::vector<double> mixed_levels = {1, 0.5, 0.25};
  // Timed calls of each model; a layer's time is the median over them.
  int64_t repeats = 5;
  // How often the plans have their turn, one after the other: machines run
  // faster and slower for seconds, and a layer that was timed at one time must
  // not be compared with what another took at another. No round begins after
  // `most_seconds`.
  int64_t rounds = 4;
  double most_seconds = 10;
  // Models are kept from one round to the next as long as all take no more;
  // others are made anew.
  int64_t most_bytes = int64_t{512} << 20;
};

// Channels (or features) that a layer's node reads and makes, told by its
// weights.
struct ChannelCounts {
  int64_t in = 0;
  int64_t out = 0;
};

// REQUIRES: `node` is a Conv, Gemm or MatMul of `graph` with constant weights.
ChannelCounts ChannelsOf(const Graph& graph, const Node& node);

// Microseconds of every node of a compiled graph, its reorders included: the
// median over `repeats` runs, by index in the graph. What belongs to no node
// stands in `other_us`.
struct NodeTimes {
  std::vector<double> us;
  // Of them, what goes into the node's reorders.
  std::vector<double> reorder_us;
  double other_us = 0;
};
absl::StatusOr<NodeTimes> TimeNodes(int64_t node_count, int64_t repeats,
                                    Executor* executor);

// Compresses the model uniformly by each precision that `space` offers (at its
// widest weights) and each keep level, then with two keep levels, and with two
// precisions, that layers take in turn; without rebuilding weights; and times
// its layers. Settings that cannot work are left out; each (layer, precision,
// its source's, channels) stands once.
//
// `graph`, `space`, `stats` and `source` as for Compress. Without
// `profile`, which the caller sets.
// Errors: those of Executor::Compile for the uncompressed model.
absl::StatusOr<v1::LatencyTable> BuildLatencyTable(
    const Graph& graph, const v1::SearchSpace& space,
    const ActivationStats& stats, ActivationSource& source,
    const LatencyTableOptions& options);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LATENCY_TABLE_H_
