// Original and quantised network side by side: every layer is quantised on what
// the already quantised layers before it give.
#ifndef LATHE_COMPRESSOR_QUANTIZE_PASS_H_
#define LATHE_COMPRESSOR_QUANTIZE_PASS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/quantize_layer.h"

namespace lathe {

// A layer that gets other weights: integers, or kFloatBits.
struct QuantizedChoice {
  int node = 0;  // In Graph::nodes().
  int weight_axis = 0;
  // Axis of the output channels in outputs[0].
  int output_axis = 0;
  int bits = 8;
};

// Quantises (quantize_layer.h) the `layers` of `parts`, which are those of
// `original` but for precisions and grids; activations are rounded to the grids
// on the way. `samples` samples are run, as one batch; fewer where the source
// has fewer or activations would take more than 1 GiB, and none where the
// options need none.
//
// Errors:
//   InvalidArgument - that of QuantizeLayer; the message names the layer.
//   Those of the source.
absl::Status QuantizeNetwork(const Graph& original,
                             const std::vector<QuantizedChoice>& layers,
                             int64_t samples, const WeightOptions& options,
                             ActivationSource& source, GraphParts* parts);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_QUANTIZE_PASS_H_
