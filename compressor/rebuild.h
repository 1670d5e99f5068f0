// Weights of a pruned layer that bring its outputs back to the original's, in
// closed form (He et al., "Channel Pruning for Accelerating Very Deep Neural
// Networks", 2017; here as ridge regression towards the surviving weights).
#ifndef LATHE_COMPRESSOR_REBUILD_H_
#define LATHE_COMPRESSOR_REBUILD_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

struct LayerWeights {
  Tensor weights;
  // [out_channels]; none for a MatMul, or a layer without bias.
  std::optional<Tensor> bias;
};

enum class RebuildMethod {
  // The surviving weights stay as they are.
  kNone,
  // The bias brings the mean of each output back, as re-estimating batch norms
  // would.
  kRecentre,
  // Weights and bias by ridge regression.
  kRidge,
};

struct RebuildOptions {
  RebuildMethod method = RebuildMethod::kRidge;
  // Ridge, as a share of the Gram matrix's mean diagonal.
  double ridge = 1e-2;
  // Of the output positions that are looked at.
  uint64_t seed = 0;
};

// The weights W and bias b that minimise the squared distance of the layer's
// outputs on `input` from `target`, plus the ridge times |W - W_kept|^2; for
// kRecentre the bias alone.
//
// `node` is a Conv (of one group, or depthwise), Gemm or MatMul with the
// weights `kept`; its post-ops are not looked at. `input` is what the pruned
// network gives it, `target` [samples, out_channels, ...] what the original
// layer gives before its activation, in the pruned layer's channels. A Conv or
// Gemm gets a bias if it had none. Where the solution is not finite, or a
// Gemm's bias differs by sample or its factors are 0, the result is `kept`.
//
// REQUIRES: `input` and `target` have the shapes that the layer takes and
// makes. Errors: InvalidArgument - attributes that do not fit the shapes.
absl::StatusOr<LayerWeights> RebuildLayer(const Node& node,
                                          const LayerWeights& kept,
                                          const Tensor& input,
                                          const Tensor& target,
                                          const RebuildOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REBUILD_H_
