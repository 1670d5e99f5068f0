// Grids of activations by what the network's answers lose.
#ifndef LATHE_COMPRESSOR_LOSS_AWARE_RANGES_H_
#define LATHE_COMPRESSOR_LOSS_AWARE_RANGES_H_

#include <cstdint>
#include <map>
#include <set>

#include "absl/status/statusor.h"
#include "compressor/activation_range.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/graph.h"

namespace lathe {

struct LossAwareOptions {
  // Bits and symmetry of the grids; `method` and `norm` are not looked at.
  RangeOptions range;
  // Calibration samples on which answers are compared.
  int64_t samples = 64;
  // Turns over all grids.
  int turns = 2;
};

// Grids of the values `ids` (Nahshan et al., "Loss Aware Post-training
// Quantization", 2019): each by the least mean |error|^p, for several p; the p
// where a parabola through the losses is least; then each scale in turn, with
// the others held, by trying shares and multiples of it (coordinate descent
// where the paper has Powell's method). The loss is label-free: the mean
// squared distance of the answers of `quantized`, which is `original` with
// other weights, from those of `original`. It never exceeds that of the grids
// by least squared error.
//
// All activations of the samples are kept between the steps: fewer samples are
// taken where they would take more than 1 GiB.
//
// REQUIRES: equal nodes; `stats` has every one of `ids`.
// Errors: those of FittingSamples and of the source.
absl::StatusOr<std::map<ValueId, ActivationGrid>> LossAwareGrids(
    const Graph& original, const GraphParts& quantized,
    const std::set<ValueId>& ids, const ActivationStats& stats,
    ActivationSource& source, const LossAwareOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LOSS_AWARE_RANGES_H_
