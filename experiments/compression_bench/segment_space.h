// The decisions of an enumerated table: one for each segment of a network.
#ifndef LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_SPACE_H_
#define LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_SPACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "evaluator/network_segments.h"

namespace lathe {

// What all layers of a segment do alike.
struct SegmentChoice {
  // 32: f32; 16: bf16; 8-2: int8 with weights of so many bits.
  int bits = 32;
  // Of the channels inside the segment.
  double keep = 1;
};

// "8:0.5".
absl::StatusOr<SegmentChoice> ParseSegmentChoice(const std::string& text);

struct SegmentDecision {
  Segment segment;
  // Those that the segment can do; "keep" of what has no channels inside is 1.
  std::vector<SegmentChoice> choices;
  // The segment's network for each choice, each compressed by itself while the
  // rest of the network is as it was.
  std::vector<Graph> graphs;
  // Of the segment's largest layer, for the table's features; its MACs are all
  // of the segment's.
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t out_pixels = 0;
  int64_t kernel = 0;
  int64_t macs = 0;
};

// Each choice of each segment of `graph`, compressed with the product's own
// options. `choices` begins with the one that counts as uncompressed.
//
// Errors:
//   FailedPrecondition - the network cannot be cut, or a choice is not legal.
//   Those of Compress.
absl::StatusOr<std::vector<SegmentDecision>> MakeSegmentDecisions(
    const Graph& graph, const std::vector<SegmentChoice>& choices,
    ActivationSource& source);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_SPACE_H_
