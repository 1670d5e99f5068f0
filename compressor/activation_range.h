// Ranges of activations from their statistics.
#ifndef LATHE_COMPRESSOR_ACTIVATION_RANGE_H_
#define LATHE_COMPRESSOR_ACTIVATION_RANGE_H_

#include "compressor/activation_stats.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// How activation ranges are taken from their statistics.
enum class RangeMethod {
  // The largest magnitude seen.
  kMinMax,
  // The moving average of the largest magnitudes of the calibration's chunks
  // (Jacob et al., "Quantization and Training of Neural Networks for Efficient
  // Integer-Arithmetic-Only Inference", 2018, section 3.1); kMinMax where it is
  // not known.
  kMovingAverage,
  // The least that at least the share `percentile` of the values does not
  // exceed, to a bin of the histogram.
  kPercentile,
  // The least Kullback-Leibler divergence of the rounded distribution from the
  // clipped one (Migacz, "8-bit Inference with TensorRT", 2017).
  kEntropy,
  // The least mean squared error of rounding and clipping.
  kMse,
  // The least mean |error|^norm.
  kNorm,
  // What costs the network's answers least (loss_aware_ranges.h). Statistics
  // alone cannot tell: ChooseGrid takes kMse for it.
  kLossAware,
};

// Which tensors with values of both signs get an unsigned grid whose zero point
// fits their range, instead of a symmetric one.
enum class ActivationGrids {
  kSymmetric,  // None.
  // Those of whose symmetric grid the values seen would leave a quarter or more
  // unused: outputs of GELU, SiLU and their like, features in decibels. A zero
  // point costs a kernel some percent of its time
  // (experiments/compression/README.md).
  kSkewed,
  kAsymmetric,  // All.
};

struct RangeOptions {
  RangeMethod method = RangeMethod::kMse;
  // Share of the values inside the range, for kPercentile.
  double percentile = 0.9999;
  // Exponent, for kNorm.
  double norm = 2;
  // Of the grid, in [2, 8]. Kernels have 8; fewer are for studies.
  int bits = 8;
  ActivationGrids grids = ActivationGrids::kSkewed;
};

// The largest magnitude that a grid should represent, by `options`. Positive,
// and 1 for a tensor of zeros.
float ClippingPoint(const TensorStats& stats, const RangeOptions& options);

// An unsigned grid with zero point 0 when no value is negative; else a
// symmetric signed one, or one with a zero point as `options.grids` says.
// Integer kernels are fastest without zero points.
ActivationGrid ChooseGrid(const TensorStats& stats,
                          const RangeOptions& options);

// The largest level that `bits` bits give such a grid.
int LargestLevel(bool is_signed, int bits);

// Every value of the float32 `tensor` rounded to the grid.
Tensor RoundToGrid(const Tensor& tensor, const ActivationGrid& grid);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ACTIVATION_RANGE_H_
