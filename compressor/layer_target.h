// What a layer of a compressed network should give.
#ifndef LATHE_COMPRESSOR_LAYER_TARGET_H_
#define LATHE_COMPRESSOR_LAYER_TARGET_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/live_tensors.h"
#include "compressor/tensor.h"

namespace lathe {

// A layer of `original` in its run. `inputs` has a tensor for each of the
// node's inputs, `output` is outputs[0] with all post-ops.
struct OriginalRun {
  const Graph& original;
  int node = 0;
  const std::vector<Tensor>& inputs;
  const Tensor& output;
};

// What the compressed layer should give before its post-ops, in the channels
// `kept` along `channel_axis`: where residual additions follow the layer at
// once, the original's sum minus what the compressed network, whose activations
// are `compressed`, adds; so that the layer makes good what the other branch
// lost.
//
// Errors: those of the source.
absl::StatusOr<Tensor> LayerTarget(const OriginalRun& run, int channel_axis,
                                   absl::Span<const int64_t> kept,
                                   const LiveTensors& compressed,
                                   ActivationSource& source);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_TARGET_H_
