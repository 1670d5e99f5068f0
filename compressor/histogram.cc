#include "compressor/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace lathe {
namespace {

constexpr float kLargestLimit = 1.7014118346046923e38f;    // 2^127
constexpr float kSmallestLimit = 1.1754943508222875e-38f;  // 2^-126

// The least power of two that is above `magnitude`, within the limits.
float LimitFor(float magnitude) {
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  return std::min(
      kLargestLimit,
      std::max(kSmallestLimit, static_cast<float>(std::ldexp(1.0, exponent))));
}

// Widens the histogram to `limit`, a power of two above its own. Zeros sit in
// the bin right of the middle, which stays where it is.
void Widen(float limit, TensorStats* stats) {
  const double ratio = static_cast<double>(limit) / stats->limit;
  const int shift = std::ilogb(ratio);
  std::vector<int64_t> merged(kHistogramBins);
  for (int i = 0; i < kHistogramBins; ++i) {
    const int from_middle = i - kHistogramBins / 2;
    // An arithmetic shift rounds down on both sides of the middle; more than
    // 11 doublings leave one bin a side.
    const int to = (from_middle >> std::min(shift, 30)) + kHistogramBins / 2;
    merged[to] += stats->histogram[i];
  }
  stats->histogram = std::move(merged);
  stats->limit = limit;
}

// Counts kept side by side: half the values behind a ReLU are zeros, and one
// counter would have to wait for itself.
constexpr size_t kLanes = 4;

// REQUIRES: the values lie within the limit.
void Count(absl::Span<const float> values, TensorStats* stats) {
  constexpr int kHalf = kHistogramBins / 2;
  const double bins_per_unit = kHalf / double{stats->limit};
  std::vector<int64_t> counts(kLanes * kHistogramBins);
  for (size_t i = 0; i < values.size(); ++i) {
    const double scaled = values[i] * bins_per_unit;
    // Rounds down as std::floor does, which is a call without SSE4.1.
    const int truncated = static_cast<int>(scaled);
    const int bin = truncated - (truncated > scaled ? 1 : 0) + kHalf;
    ++counts[i % kLanes * kHistogramBins +
             std::min(std::max(bin, 0), kHistogramBins - 1)];
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    stats->histogram[i % kHistogramBins] += counts[i];
  }
}

}  // namespace

TensorStats EmptyStats() {
  TensorStats stats;
  stats.min = std::numeric_limits<float>::infinity();
  stats.max = -std::numeric_limits<float>::infinity();
  stats.limit = kSmallestLimit;
  stats.histogram.resize(kHistogramBins);
  return stats;
}

bool AddToStats(absl::Span<const float> values, TensorStats* stats) {
  float low = stats->min;
  float high = stats->max;
  bool is_finite = true;
  for (const float value : values) {
    is_finite &= std::abs(value) <= std::numeric_limits<float>::max();
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!is_finite) return false;
  if (values.empty()) return true;
  stats->min = low;
  stats->max = high;
  const float limit = LimitFor(std::max(std::abs(low), std::abs(high)));
  if (limit > stats->limit) Widen(limit, stats);
  Count(values, stats);
  return true;
}

}  // namespace lathe
