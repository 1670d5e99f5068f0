// A histogram of numbers whose range is not known beforehand.
#ifndef LATHE_COMPRESSOR_HISTOGRAM_H_
#define LATHE_COMPRESSOR_HISTOGRAM_H_

#include <cstdint>

#include "absl/types/span.h"
#include "compressor/activation_stats.h"

namespace lathe {

// Bins of every histogram: at least 512 of them cover what a tensor of one
// sign really uses (its limit is at most twice its maximum), two for each step
// of an 8-bit grid.
constexpr int kHistogramBins = 2048;

// Adds `values` to `stats`. The limit is a power of two and grows by doubling,
// whereupon pairs of bins are merged, so that equal values in any order and
// any chunks give equal statistics. Magnitudes above 2^127 count in the
// outermost bins.
//
// False, with `stats` in an unspecified state, when a value is not finite.
bool AddToStats(absl::Span<const float> values, TensorStats* stats);

// Statistics of no values, to be added to.
TensorStats EmptyStats();

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_HISTOGRAM_H_
