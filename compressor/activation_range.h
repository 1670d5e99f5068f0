// Ranges of activations from their statistics.
#ifndef LATHE_COMPRESSOR_ACTIVATION_RANGE_H_
#define LATHE_COMPRESSOR_ACTIVATION_RANGE_H_

#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/graph.h"

namespace lathe {

// The largest magnitude that an 8-bit grid should represent: for kMinMax the
// largest seen; for kPercentile the least that at least the share `percentile`
// of the values does not exceed (to a bin of the histogram); for kMse the one
// with the least mean squared error of rounding and clipping. Positive, and 1
// for a tensor of zeros.
float ClippingPoint(const TensorStats& stats, RangeMethod method,
                    double percentile);

// An unsigned grid with zero point 0 when no value is negative, else a
// symmetric signed one: the two forms that need no zero point, with which
// integer kernels are fastest.
ActivationGrid ChooseGrid(const TensorStats& stats, RangeMethod method,
                          double percentile);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ACTIVATION_RANGE_H_
