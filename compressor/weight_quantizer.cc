#include "compressor/weight_quantizer.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace lathe {
namespace {

// Clipping points tried for one channel: first even shares of its maximum, then
// finer ones to both sides of the best. Measured against 5000 even shares, on
// 60 channels each of Gaussian, Laplacian and heavier-tailed weights (27, 144
// and 576 elements, 2-8 bits): the mean error is at most 0.03 % larger, that of
// a single channel at most 3.6 %. Even shares alone would need 256 of them at 7
// and 8 bits, whose best scales lie close together.
constexpr int kCoarseSteps = 32;
constexpr int kFineSteps = 24;  // To each side.

// Below this a channel counts as zero (see the header).
constexpr float kLeastMagnitude = 1e-30f;

// `x` rounded to an integer, halves to even; exact for |x| < 2^22. The sum
// loses all digits after the point, and takes no call as nearbyint does
// without SSE4.1.
float RoundHalfEven(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return (x + kShift) - kShift;
}

struct Limits {
  float least = 0;
  float most = 0;
};

float Level(float x, float inverse_scale, const Limits& limits) {
  return RoundHalfEven(
      std::min(std::max(x * inverse_scale, limits.least), limits.most));
}

// Sum of squared errors in units of scale^2 * squares; stops early above
// `bound`.
double Error(absl::Span<const float> channel, float scale, const Limits& limits,
             double bound) {
  constexpr size_t kBlock = 256;
  const float inverse = 1 / scale;
  double error = 0;
  for (size_t start = 0; start < channel.size() && error < bound;
       start += kBlock) {
    for (const float x : channel.subspan(start, kBlock)) {
      const double difference = x - scale * Level(x, inverse, limits);
      error += difference * difference;
    }
  }
  return error;
}

// The best scale for the levels that `scale` gives.
float FitScale(absl::Span<const float> channel, float scale,
               const Limits& limits) {
  const float inverse = 1 / scale;
  double product = 0;
  double squares = 0;
  for (const float x : channel) {
    const double level = Level(x, inverse, limits);
    product += x * level;
    squares += level * level;
  }
  return squares > 0 ? static_cast<float>(product / squares) : scale;
}

float BestScale(absl::Span<const float> channel, float magnitude, float most) {
  const Limits limits = {-most, most};
  float best = magnitude / most;
  double least = Error(channel, best, limits, HUGE_VAL);
  const auto try_scale = [&](float scale) {
    if (!(scale >= kLeastMagnitude)) return false;
    const double error = Error(channel, scale, limits, least);
    if (error >= least) return false;
    best = scale;
    least = error;
    return true;
  };
  const float step = magnitude / most / kCoarseSteps;
  for (int k = kCoarseSteps - 1; k > 0; --k) try_scale(step * k);
  const float centre = best;
  for (int k = -kFineSteps; k <= kFineSteps; ++k) {
    try_scale(centre + step * k / (kFineSteps + 1));
  }
  // Each fit can only lower the error; three bound the time.
  for (int fit = 0; fit < 3; ++fit) {
    if (!try_scale(FitScale(channel, best, limits))) break;
  }
  return best;
}

// The grid of `bits` bits from `low` <= 0 to `high` >= 0, or the one of even
// shares of that range that errs least.
WeightGrid BestAsymmetric(absl::Span<const float> channel, float low,
                          float high, int bits, ScaleMethod method) {
  const int steps = (1 << bits) - 1;
  WeightGrid best;
  double least_error = HUGE_VAL;
  const auto try_grid = [&](float scale, int least) {
    if (!(scale >= kLeastMagnitude)) return false;
    const WeightGrid grid = {scale, least, least + steps};
    const double error =
        Error(channel, scale,
              {static_cast<float>(grid.least), static_cast<float>(grid.most)},
              least_error);
    if (error >= least_error) return false;
    best = grid;
    least_error = error;
    return true;
  };
  const int fewest = method == ScaleMethod::kMse ? 1 : kCoarseSteps;
  for (int k = kCoarseSteps; k >= fewest; --k) {
    const float share = static_cast<float>(k) / kCoarseSteps;
    const float scale = (high - low) * share / static_cast<float>(steps);
    const float least = RoundHalfEven(low * share / scale);
    try_grid(scale, std::max(-steps, static_cast<int>(least)));
  }
  for (int fit = 0; fit < 3 && method == ScaleMethod::kMse; ++fit) {
    const Limits limits = {static_cast<float>(best.least),
                           static_cast<float>(best.most)};
    if (!try_grid(FitScale(channel, best.scale, limits), best.least)) break;
  }
  return best;
}

// Where the elements of one channel lie.
struct ChannelLayout {
  int64_t channels = 1;
  int64_t outer = 1;
  int64_t inner = 1;

  ChannelLayout(const Shape& shape, int axis)
      : channels(shape[axis]),
        outer(ElementCount(absl::Span<const int64_t>(shape).subspan(0, axis))),
        inner(
            ElementCount(absl::Span<const int64_t>(shape).subspan(axis + 1))) {}

  // Calls visit(element) for each element of `channel`, in order.
  template <typename Visit>
  void ForEach(int64_t channel, Visit visit) const {
    for (int64_t o = 0; o < outer; ++o) {
      const int64_t start = (o * channels + channel) * inner;
      for (int64_t i = 0; i < inner; ++i) visit(start + i);
    }
  }
};

}  // namespace

absl::StatusOr<float> ChooseScale(absl::Span<const float> weights, int most,
                                  ScaleMethod method) {
  float magnitude = 0;
  for (const float weight : weights) {
    // A NaN makes the magnitude NaN, and it stays so.
    const float x = std::abs(weight);
    if (!(x <= magnitude)) magnitude = x + magnitude * 0;
  }
  if (!std::isfinite(magnitude)) {
    return absl::InvalidArgumentError("a weight is not finite");
  }
  const float limit = static_cast<float>(most);
  if (magnitude / limit < kLeastMagnitude) return 1;
  return method == ScaleMethod::kMse ? BestScale(weights, magnitude, limit)
                                     : magnitude / limit;
}

bool IsAsymmetric(WeightGrids grids, int bits) {
  switch (grids) {
    case WeightGrids::kSymmetric:
      return false;
    case WeightGrids::kAsymmetric:
      return bits < 8;
    case WeightGrids::kNarrow:
      return bits <= 3;
  }
  return false;
}

absl::StatusOr<WeightGrid> ChooseWeightGrid(absl::Span<const float> weights,
                                            int bits, ScaleMethod method,
                                            WeightGrids grids) {
  const int most = (1 << (bits - 1)) - 1;
  LATHE_ASSIGN_OR_RETURN(const float scale, ChooseScale(weights, most, method));
  const WeightGrid symmetric = {scale, -most, most};
  if (!IsAsymmetric(grids, bits)) return symmetric;
  float low = 0;
  float high = 0;
  for (const float weight : weights) {
    low = std::min(low, weight);
    high = std::max(high, weight);
  }
  if ((high - low) / static_cast<float>(2 * most + 1) < kLeastMagnitude) {
    return WeightGrid{1, -most - 1, most};
  }
  return BestAsymmetric(weights, low, high, bits, method);
}

int8_t ZeroPointOf(const WeightGrid& grid, int bits) {
  if (grid.least == -grid.most) return 0;
  return static_cast<int8_t>(-(1 << (bits - 1)) - grid.least);
}

absl::StatusOr<QuantizedWeights> QuantizeWeights(const Tensor& weights,
                                                 int channel_axis, int bits,
                                                 ScaleMethod method,
                                                 ScaleScope scope,
                                                 WeightGrids grids) {
  if (bits < 2 || bits > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits = ", bits, ", not in [2, 8]"));
  }
  const absl::Span<const float> values = weights.values<float>();
  const ChannelLayout layout(weights.shape(), channel_axis);
  const bool is_asymmetric = IsAsymmetric(grids, bits);
  QuantizedWeights quantized;
  quantized.bits = bits;
  quantized.levels.resize(values.size());
  WeightGrid grid;
  const auto choose = [&](absl::Span<const float> part) -> absl::Status {
    LATHE_ASSIGN_OR_RETURN(grid, ChooseWeightGrid(part, bits, method, grids));
    quantized.scales.push_back(grid.scale);
    if (is_asymmetric) quantized.zero_points.push_back(ZeroPointOf(grid, bits));
    return absl::OkStatus();
  };
  if (scope == ScaleScope::kPerTensor) LATHE_RETURN_IF_ERROR(choose(values));
  std::vector<float> channel;
  for (int64_t c = 0; c < layout.channels; ++c) {
    if (scope == ScaleScope::kPerChannel) {
      channel.clear();
      layout.ForEach(c, [&](int64_t i) { channel.push_back(values[i]); });
      LATHE_RETURN_IF_ERROR(
          Annotate(choose(channel), absl::StrCat("channel ", c)));
    }
    layout.ForEach(c, [&](int64_t i) {
      quantized.levels[i] = static_cast<int8_t>(NearestLevel(values[i], grid));
    });
  }
  DropZeroPoints(&quantized);
  return quantized;
}

void DropZeroPoints(QuantizedWeights* quantized) {
  std::vector<int8_t>& points = quantized->zero_points;
  const bool has_other = std::any_of(points.begin(), points.end(),
                                     [](int8_t point) { return point != 0; });
  if (!has_other) points.clear();
}

float NearestLevel(float weight, const WeightGrid& grid) {
  return Level(weight, 1 / grid.scale,
               {static_cast<float>(grid.least), static_cast<float>(grid.most)});
}

Tensor DequantizeWeights(const QuantizedWeights& quantized, const Shape& shape,
                         int channel_axis) {
  const ChannelLayout layout(shape, channel_axis);
  std::vector<float> values(quantized.levels.size());
  for (int64_t c = 0; c < layout.channels; ++c) {
    const float scale = quantized.scales[quantized.scales.size() == 1 ? 0 : c];
    layout.ForEach(c, [&](int64_t i) {
      values[i] = scale * static_cast<float>(quantized.levels[i]);
    });
  }
  return Tensor::Of<float>(shape, values);
}

}  // namespace lathe
