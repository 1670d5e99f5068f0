// A network cut where a single tensor carries all that goes on.
#ifndef LATHE_EVALUATOR_NETWORK_SEGMENTS_H_
#define LATHE_EVALUATOR_NETWORK_SEGMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"

namespace lathe {

// Nodes [first, last] of a graph, which read nothing but `input`, constants and
// each other, and of which nothing but `output` is read later.
struct Segment {
  int first = 0;
  int last = 0;
  ValueId input = kNoValue;
  ValueId output = kNoValue;
};

// The finest segments of a graph with one input and one output, in order: each
// but the last has a Conv, Gemm or MatMul with constant weights, and the last
// ends in the output. A single segment where nothing can be cut. Residual
// blocks stay whole. Empty for a graph with several inputs or outputs.
std::vector<Segment> FindSegments(const Graph& graph);

// A segment as a network of its own. Its input and output have the shapes that
// the values have in `graph`, with a dynamic batch; the input keeps the grid
// that its consumers round it to, the output has the one it has in `graph`.
//
// Errors: those of InferShapes and Graph::Create.
absl::StatusOr<Graph> SegmentGraph(const Graph& graph, const Segment& segment);

// One network that runs `parts` one after the other. The value between two has
// the grid of the later one's input. Nodes keep their names.
//
// REQUIRES: not empty; each has one input and one output.
// Errors:
//   InvalidArgument - two nodes of one name.
absl::StatusOr<Graph> Concatenate(absl::Span<const Graph* const> parts);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_NETWORK_SEGMENTS_H_
