// Per-tensor statistics of a network's activations, in bounded memory.
#ifndef LATHE_COMPRESSOR_ACTIVATION_STATS_H_
#define LATHE_COMPRESSOR_ACTIVATION_STATS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"

namespace lathe {

// Range and histogram of one value.
struct TensorStats {
  float min = 0;
  float max = 0;
  // Largest magnitude that the histogram covers; bin i of n covers
  // [-limit + i * w, -limit + (i + 1) * w) with w = 2 * limit / n.
  float limit = 0;
  std::vector<int64_t> histogram;
  // Moving average of the largest magnitude of each chunk of samples; 0 when it
  // was not collected.
  float average_magnitude = 0;
};

// By value name. Names survive Canonicalize and Compress, so that statistics
// of the unpruned network can be looked up in a compressed one.
struct ActivationStats {
  std::map<std::string, TensorStats> tensors;
  int64_t samples = 0;
};

// Runs `samples` calibration samples through the graph, in float32, and
// collects the statistics of every float32 value that is not constant. A value
// inside of the network that is minus infinity somewhere, as masked attention
// scores are, has none: no grid holds it.
//
// Errors:
//   InvalidArgument - no samples, or another activation that is not finite; the
//     message names the value.
absl::StatusOr<ActivationStats> CollectActivationStats(const Graph& graph,
                                                       ActivationSource& source,
                                                       int64_t samples);

// Bytes and back; equal statistics give equal bytes.
std::string SerializeActivationStats(const ActivationStats& stats);
// Errors: InvalidArgument - the bytes are not statistics.
absl::StatusOr<ActivationStats> ParseActivationStats(absl::string_view bytes);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ACTIVATION_STATS_H_
