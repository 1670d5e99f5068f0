// Ranges of activations of both signs, for grids with a zero point.
#ifndef LATHE_COMPRESSOR_ASYMMETRIC_RANGE_H_
#define LATHE_COMPRESSOR_ASYMMETRIC_RANGE_H_

#include "compressor/activation_range.h"
#include "compressor/activation_stats.h"

namespace lathe {

// What a grid should represent.
struct ValueRange {
  double low = 0;   // At most 0.
  double high = 0;  // At least 0.
};

// The range by `options`, inside [min, max] of the statistics: each end is
// looked for by itself. kMse and kNorm: the ends, in hundredths of min and max,
// of least error, in turn until neither moves. kPercentile: an equal share of
// what is left out beyond each end. kEntropy: the ends of least divergence,
// high first. kMinMax: all. kMovingAverage: the average magnitude at most.
ValueRange AsymmetricRange(const TensorStats& stats,
                           const RangeOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ASYMMETRIC_RANGE_H_
