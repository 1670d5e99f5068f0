#include "compressor/activation_range.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace lathe {
namespace {

// Clipping points tried: k / kCandidates of the maximum.
constexpr int kCandidates = 100;

// A scale below this would not be a normal number with its inverse.
constexpr float kLeastScale = 1e-30f;

// Counts by magnitude: bin i covers [i, i + 1) * width. The left half of the
// histogram is folded on the right.
struct Magnitudes {
  std::vector<int64_t> counts;
  double width = 0;
  int64_t total = 0;
};

Magnitudes Fold(const TensorStats& stats) {
  const size_t half = stats.histogram.size() / 2;
  Magnitudes magnitudes;
  magnitudes.width = stats.limit / static_cast<double>(half);
  magnitudes.counts.resize(half);
  for (size_t i = 0; i < half; ++i) {
    magnitudes.counts[i] =
        stats.histogram[half + i] + stats.histogram[half - 1 - i];
    magnitudes.total += magnitudes.counts[i];
  }
  return magnitudes;
}

int LargestLevel(const TensorStats& stats) { return stats.min < 0 ? 127 : 255; }

float PercentilePoint(const Magnitudes& magnitudes, double percentile) {
  const double wanted = percentile * static_cast<double>(magnitudes.total);
  int64_t below = 0;
  for (size_t i = 0; i < magnitudes.counts.size(); ++i) {
    below += magnitudes.counts[i];
    if (static_cast<double>(below) >= wanted) {
      return static_cast<float>((i + 1) * magnitudes.width);
    }
  }
  return static_cast<float>(magnitudes.counts.size() * magnitudes.width);
}

// Sum of squared errors when magnitudes are clipped at `clip` and rounded to
// steps of clip / levels. A bin counts as its centre and its spread; where
// steps are finer than two bins, rounding counts as noise of a twelfth of a
// step squared. The first bin is left out: it is mostly the exact zeros of
// ReLU, which round to themselves.
double SquaredError(const Magnitudes& magnitudes, double clip, int levels) {
  const double step = clip / levels;
  const double width = magnitudes.width;
  const double spread = width * width / 12;
  const double noise = step * step / 12;
  double error = 0;
  for (size_t i = 1; i < magnitudes.counts.size(); ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * width;
    double difference = centre - clip;
    if (difference < step / 2) {
      if (step < 2 * width) {
        error += static_cast<double>(magnitudes.counts[i]) * noise;
        continue;
      }
      difference = centre - step * std::nearbyint(centre / step);
    }
    error += static_cast<double>(magnitudes.counts[i]) *
             (difference * difference + spread);
  }
  return error;
}

float LeastErrorPoint(const Magnitudes& magnitudes, float magnitude,
                      int levels) {
  float best = magnitude;
  double least = SquaredError(magnitudes, magnitude, levels);
  for (int k = kCandidates - 1; k > 0; --k) {
    const float clip = magnitude * static_cast<float>(k) / kCandidates;
    const double error = SquaredError(magnitudes, clip, levels);
    if (error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

}  // namespace

float ClippingPoint(const TensorStats& stats, RangeMethod method,
                    double percentile) {
  const float magnitude = std::max(std::abs(stats.min), std::abs(stats.max));
  const int levels = LargestLevel(stats);
  if (magnitude / levels < kLeastScale) return 1;
  float point = magnitude;
  if (method == RangeMethod::kPercentile) {
    point = PercentilePoint(Fold(stats), percentile);
  } else if (method == RangeMethod::kMse) {
    point = LeastErrorPoint(Fold(stats), magnitude, levels);
  }
  return std::min(std::max(point, kLeastScale * levels), magnitude);
}

ActivationGrid ChooseGrid(const TensorStats& stats, RangeMethod method,
                          double percentile) {
  ActivationGrid grid;
  grid.is_signed = stats.min < 0;
  grid.scale = ClippingPoint(stats, method, percentile) /
               static_cast<float>(LargestLevel(stats));
  return grid;
}

}  // namespace lathe
