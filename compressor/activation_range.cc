#include "compressor/activation_range.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "compressor/asymmetric_range.h"
#include "compressor/reference_ops.h"

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

// Mean |error|^norm when magnitudes are clipped and rounded as in SquaredError,
// bins counting as their centres.
double NormError(const Magnitudes& magnitudes, double clip, int levels,
                 double norm) {
  const double step = clip / levels;
  double error = 0;
  for (size_t i = 1; i < magnitudes.counts.size(); ++i) {
    if (magnitudes.counts[i] == 0) continue;
    const double centre = (static_cast<double>(i) + 0.5) * magnitudes.width;
    const double stored =
        std::min<double>(levels, std::nearbyint(centre / step)) * step;
    // Inside a step finer than a bin the error is spread evenly over half a
    // step: its mean power is (step / 2)^norm / (norm + 1).
    const bool is_fine = step < 2 * magnitudes.width && centre < clip;
    const double power = is_fine ? std::pow(step / 2, norm) / (norm + 1)
                                 : std::pow(std::abs(centre - stored), norm);
    error += static_cast<double>(magnitudes.counts[i]) * power;
  }
  return error;
}

float LeastNormPoint(const Magnitudes& magnitudes, float magnitude, int levels,
                     double norm) {
  float best = magnitude;
  double least = HUGE_VAL;
  for (int k = kCandidates; k > 0; --k) {
    const float clip = magnitude * static_cast<float>(k) / kCandidates;
    const double error = NormError(magnitudes, clip, levels, norm);
    if (error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

// Divergence of the first `bins` bins, rounded to `levels` equal groups, from
// the same with the rest of the histogram put into the last of them.
double Divergence(const Magnitudes& magnitudes, int64_t bins, int levels) {
  const std::vector<int64_t>& counts = magnitudes.counts;
  double outside = 0;
  for (size_t i = bins; i < counts.size(); ++i) outside += counts[i];
  double inside = 0;
  for (int64_t i = 0; i < bins; ++i) inside += counts[i];
  if (inside == 0) return HUGE_VAL;
  const double total = inside + outside;
  double divergence = 0;
  for (int64_t group = 0; group < levels; ++group) {
    const int64_t first = group * bins / levels;
    const int64_t end = (group + 1) * bins / levels;
    double sum = 0;
    int64_t filled = 0;
    for (int64_t i = first; i < end; ++i) {
      sum += counts[i];
      filled += counts[i] > 0 ? 1 : 0;
    }
    for (int64_t i = first; i < end; ++i) {
      const double own = counts[i] + (i == bins - 1 ? outside : 0);
      if (own == 0) continue;
      // An empty last bin stands for its clipped values by one count.
      const double rounded = counts[i] > 0 ? sum / filled : 1;
      divergence += own / total * std::log(own / total * inside / rounded);
    }
  }
  return divergence;
}

float LeastDivergencePoint(const Magnitudes& magnitudes, float magnitude,
                           int levels) {
  const int64_t used =
      std::min<int64_t>(magnitudes.counts.size(),
                        static_cast<int64_t>(magnitude / magnitudes.width) + 1);
  int64_t best = used;
  double least = HUGE_VAL;
  // Fewer bins than levels lose nothing but what is clipped, and would win: the
  // least range is, as in TensorRT's 128 of 2048 bins, a sixteenth.
  const int64_t fewest = std::max({used / 16, int64_t{levels} + 1, int64_t{8}});
  for (int64_t bins = std::min(used, fewest); bins <= used; ++bins) {
    const double divergence = Divergence(magnitudes, bins, levels + 1);
    if (divergence < least) {
      least = divergence;
      best = bins;
    }
  }
  return static_cast<float>(static_cast<double>(best) * magnitudes.width);
}

float PointBy(const TensorStats& stats, float magnitude, int levels,
              const RangeOptions& options) {
  switch (options.method) {
    case RangeMethod::kMinMax:
      return magnitude;
    case RangeMethod::kMovingAverage:
      return stats.average_magnitude > 0 ? stats.average_magnitude : magnitude;
    case RangeMethod::kPercentile:
      return PercentilePoint(Fold(stats), options.percentile);
    case RangeMethod::kEntropy:
      return LeastDivergencePoint(Fold(stats), magnitude, levels);
    case RangeMethod::kMse:
    case RangeMethod::kLossAware:
      return LeastErrorPoint(Fold(stats), magnitude, levels);
    case RangeMethod::kNorm:
      return LeastNormPoint(Fold(stats), magnitude, levels, options.norm);
  }
  return magnitude;
}

// Of a symmetric grid, what the values should use at least to get one.
constexpr float kLeastSymmetricShare = 0.75f;

bool IsAsymmetric(const TensorStats& stats, ActivationGrids grids) {
  if (stats.min >= 0 || grids == ActivationGrids::kSymmetric) return false;
  if (grids == ActivationGrids::kAsymmetric) return true;
  const float symmetric = 2 * std::max(-stats.min, stats.max);
  return std::max(stats.max, 0.0f) - stats.min <=
         kLeastSymmetricShare * symmetric;
}

// Zero has a level of its own.
ActivationGrid AsymmetricGrid(const TensorStats& stats,
                              const RangeOptions& options) {
  const ValueRange range = AsymmetricRange(stats, options);
  const float most = static_cast<float>(LargestLevel(false, options.bits));
  ActivationGrid grid;
  grid.scale = std::max(static_cast<float>((range.high - range.low) / most),
                        kLeastScale);
  grid.zero_point = static_cast<int>(std::min(
      most, std::nearbyint(static_cast<float>(-range.low) / grid.scale)));
  return grid;
}

}  // namespace

int LargestLevel(bool is_signed, int bits) {
  return is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
}

float ClippingPoint(const TensorStats& stats, const RangeOptions& options) {
  const float magnitude = std::max(std::abs(stats.min), std::abs(stats.max));
  const int levels = LargestLevel(stats.min < 0, options.bits);
  if (magnitude / levels < kLeastScale) return 1;
  return std::min(std::max(PointBy(stats, magnitude, levels, options),
                           kLeastScale * levels),
                  magnitude);
}

ActivationGrid ChooseGrid(const TensorStats& stats,
                          const RangeOptions& options) {
  if (IsAsymmetric(stats, options.grids)) {
    return AsymmetricGrid(stats, options);
  }
  ActivationGrid grid;
  grid.is_signed = stats.min < 0;
  grid.scale = ClippingPoint(stats, options) /
               static_cast<float>(LargestLevel(grid.is_signed, options.bits));
  return grid;
}

Tensor RoundToGrid(const Tensor& tensor, const ActivationGrid& grid) {
  const absl::Span<const float> values = tensor.values<float>();
  std::vector<float> rounded(values.size());
  for (size_t i = 0; i < rounded.size(); ++i) {
    rounded[i] = ApplyGrid(grid, values[i]);
  }
  return Tensor::Of<float>(tensor.shape(), rounded);
}

}  // namespace lathe
