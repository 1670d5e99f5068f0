#include "compressor/asymmetric_range.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lathe {
namespace {

// Ends tried: k / kEndsTried of the least and of the largest value.
constexpr int kEndsTried = 100;
// Searches of both ends; they stand still after fewer.
constexpr int kMostTurns = 4;

// The bins that hold values, with bin i covering [low + i * width, ...).
struct Bins {
  std::vector<int64_t> counts;
  double low = 0;
  double width = 0;

  double Centre(size_t i) const {
    return low + (static_cast<double>(i) + 0.5) * width;
  }
};

Bins FilledBins(const TensorStats& stats) {
  const size_t count = stats.histogram.size();
  const double width = 2 * static_cast<double>(stats.limit) / count;
  size_t first = 0;
  size_t end = count;
  while (first < end && stats.histogram[first] == 0) ++first;
  while (end > first && stats.histogram[end - 1] == 0) --end;
  Bins bins;
  bins.counts.assign(stats.histogram.begin() + static_cast<int64_t>(first),
                     stats.histogram.begin() + static_cast<int64_t>(end));
  bins.low = static_cast<double>(first) * width - stats.limit;
  bins.width = width;
  return bins;
}

// Sum of |error|^norm on a grid of `levels` steps over `range`. A bin counts as
// its centre; where steps are finer than two bins, the error inside the range
// is spread evenly over half a step. The bins beside 0 are left out: they are
// mostly exact zeros, which have a level of their own.
double ErrorOf(const Bins& bins, const ValueRange& range, int levels,
               double norm) {
  const double step = (range.high - range.low) / levels;
  const double zero = std::nearbyint(-range.low / step);
  const double fine_power = std::pow(step / 2, norm) / (norm + 1);
  double error = 0;
  for (size_t i = 0; i < bins.counts.size(); ++i) {
    const double centre = bins.Centre(i);
    if (bins.counts[i] == 0 || std::abs(centre) < bins.width) continue;
    double power = fine_power;
    const bool is_inside = centre > range.low && centre < range.high;
    if (!is_inside || step >= 2 * bins.width) {
      const double level = std::min(
          std::max(std::nearbyint(centre / step), -zero), levels - zero);
      const double difference = std::abs(centre - level * step);
      power = norm == 2 ? difference * difference : std::pow(difference, norm);
    }
    error += static_cast<double>(bins.counts[i]) * power;
  }
  return error;
}

// The ends that lie `share` of all values apart from either side.
ValueRange PercentileRange(const Bins& bins, const ValueRange& whole,
                           double share) {
  double total = 0;
  for (const int64_t count : bins.counts) total += static_cast<double>(count);
  const double outside = share * total;
  ValueRange range = whole;
  double below = 0;
  for (size_t i = 0; i < bins.counts.size(); ++i) {
    below += static_cast<double>(bins.counts[i]);
    if (below <= outside) continue;
    range.low = std::min(0.0, bins.Centre(i) - bins.width / 2);
    break;
  }
  double above = 0;
  for (size_t i = bins.counts.size(); i-- > 0;) {
    above += static_cast<double>(bins.counts[i]);
    if (above <= outside) continue;
    range.high = std::max(0.0, bins.Centre(i) + bins.width / 2);
    break;
  }
  return range;
}

// As ErrorOf, but the Kullback-Leibler divergence of the values on the grid
// from the clipped ones: what lies outside counts in the outermost bins, and a
// level's share is spread evenly over those of its bins that hold something.
double DivergenceOf(const Bins& bins, const ValueRange& range, int levels) {
  const int64_t count = static_cast<int64_t>(bins.counts.size());
  const auto bin_of = [&bins, count](double x) {
    return std::min(
        std::max<int64_t>(std::llround((x - bins.low) / bins.width), 0), count);
  };
  const int64_t first = bin_of(range.low);
  const int64_t end = std::max(bin_of(range.high), first + 1);
  double inside = 0;
  for (int64_t i = first; i < end; ++i) inside += bins.counts[i];
  if (inside == 0) return HUGE_VAL;
  double below = 0;
  for (int64_t i = 0; i < first; ++i) below += bins.counts[i];
  double above = 0;
  for (int64_t i = end; i < count; ++i) above += bins.counts[i];
  const double total = inside + below + above;
  double divergence = 0;
  for (int64_t group = 0; group <= levels; ++group) {
    const int64_t from = first + group * (end - first) / (levels + 1);
    const int64_t to = first + (group + 1) * (end - first) / (levels + 1);
    double sum = 0;
    int64_t filled = 0;
    for (int64_t i = from; i < to; ++i) {
      sum += bins.counts[i];
      filled += bins.counts[i] > 0 ? 1 : 0;
    }
    for (int64_t i = from; i < to; ++i) {
      const double own = bins.counts[i] + (i == first ? below : 0) +
                         (i == end - 1 ? above : 0);
      if (own == 0) continue;
      // An empty outermost bin stands for its clipped values by one count.
      const double rounded = bins.counts[i] > 0 ? sum / filled : 1;
      divergence += own / total * std::log(own / total * inside / rounded);
    }
  }
  return divergence;
}

// The best k / kEndsTried of `whole_end` for `*end`, which cost(*range) tells;
// k >= least. Whether it is another than before.
template <typename Cost>
bool MoveEnd(double whole_end, int least, const Cost& cost, ValueRange* range,
             double* end) {
  const double before = *end;
  double best = before;
  double best_cost = cost(*range);
  for (int k = kEndsTried; k >= least; --k) {
    *end = whole_end * k / kEndsTried;
    if (range->high <= range->low) continue;
    const double now = cost(*range);
    if (now >= best_cost) continue;
    best_cost = now;
    best = *end;
  }
  *end = best;
  return best != before;
}

template <typename Cost>
ValueRange LeastCost(const ValueRange& whole, int least, const Cost& cost) {
  ValueRange range = whole;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    const bool moves_high =
        MoveEnd(whole.high, least, cost, &range, &range.high);
    const bool moves_low = MoveEnd(whole.low, least, cost, &range, &range.low);
    if (!moves_high && !moves_low) break;
  }
  return range;
}

}  // namespace

ValueRange AsymmetricRange(const TensorStats& stats,
                           const RangeOptions& options) {
  const ValueRange whole = {std::min<double>(stats.min, 0),
                            std::max<double>(stats.max, 0)};
  const int levels = LargestLevel(/*is_signed=*/false, options.bits);
  if (!(whole.high - whole.low > 0)) return whole;
  const double norm = options.method == RangeMethod::kNorm ? options.norm : 2.0;
  switch (options.method) {
    case RangeMethod::kMinMax:
      return whole;
    case RangeMethod::kMovingAverage: {
      const double most = stats.average_magnitude > 0
                              ? static_cast<double>(stats.average_magnitude)
                              : HUGE_VAL;
      return {std::max(whole.low, -most), std::min(whole.high, most)};
    }
    case RangeMethod::kPercentile: {
      const ValueRange range = PercentileRange(FilledBins(stats), whole,
                                               (1 - options.percentile) / 2);
      return {std::max(whole.low, range.low), std::min(whole.high, range.high)};
    }
    case RangeMethod::kEntropy: {
      const Bins bins = FilledBins(stats);
      // Ranges of fewer bins than levels lose nothing but what is clipped, and
      // would win: a sixteenth is the least, as in ClippingPoint.
      const auto cost = [&bins, levels](const ValueRange& range) {
        return (range.high - range.low) / bins.width <= levels + 1
                   ? HUGE_VAL
                   : DivergenceOf(bins, range, levels);
      };
      return LeastCost(whole, kEndsTried / 16, cost);
    }
    case RangeMethod::kMse:
    case RangeMethod::kNorm:
    case RangeMethod::kLossAware: {
      const Bins bins = FilledBins(stats);
      return LeastCost(whole, 0, [&](const ValueRange& range) {
        return ErrorOf(bins, range, levels, norm);
      });
    }
  }
  return whole;
}

}  // namespace lathe
