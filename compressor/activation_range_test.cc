#include "compressor/activation_range.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compressor/histogram.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/net_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

TensorStats StatsOf(const std::vector<float>& values) {
  TensorStats stats = EmptyStats();
  EXPECT_TRUE(AddToStats(values, &stats));
  return stats;
}

// Half of the values are zero, the others spread over a long tail.
std::vector<float> ReluLike(int count, uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> values(count);
  for (float& v : values) {
    const float x = random.Normal(1);
    v = x > 0 ? x * x * x : 0;
  }
  return values;
}

double GridError(const std::vector<float>& values, const ActivationGrid& grid) {
  double error = 0;
  for (const float v : values) {
    error += std::pow(double{v} - ApplyGrid(grid, v), 2);
  }
  return error;
}

TEST(ActivationRange, ValuesOfOneSignUseAnUnsignedGrid) {
  const ActivationGrid grid =
      ChooseGrid(StatsOf({0, 1, 2.55f}), {RangeMethod::kMinMax, 1});
  EXPECT_FALSE(grid.is_signed);
  EXPECT_EQ(grid.zero_point, 0);
  EXPECT_FLOAT_EQ(grid.scale, 0.01f);
}

TEST(ActivationRange, NegativeValuesMakeASymmetricSignedGrid) {
  const ActivationGrid grid =
      ChooseGrid(StatsOf({-2.54f, 2}), {RangeMethod::kMinMax, 1});
  EXPECT_TRUE(grid.is_signed);
  EXPECT_EQ(grid.zero_point, 0);
  EXPECT_FLOAT_EQ(grid.scale, 0.02f);
}

TEST(ActivationRange, ZerosHaveAUsableGrid) {
  for (const RangeMethod method :
       {RangeMethod::kMinMax, RangeMethod::kMovingAverage,
        RangeMethod::kPercentile, RangeMethod::kEntropy, RangeMethod::kMse,
        RangeMethod::kNorm}) {
    const ActivationGrid grid = ChooseGrid(StatsOf({0, 0}), {method, 0.99});
    EXPECT_FLOAT_EQ(grid.scale, 1 / 255.0f);
  }
}

TEST(ActivationRange, APercentileLeavesOutTheTail) {
  std::vector<float> values(999, 1.0f);
  values.push_back(100);
  const TensorStats stats = StatsOf(values);
  const float bin = 2 * stats.limit / kHistogramBins;
  EXPECT_NEAR(ClippingPoint(stats, {RangeMethod::kPercentile, 0.99}), 1, bin);
  EXPECT_EQ(ClippingPoint(stats, {RangeMethod::kPercentile, 1}), 100);
}

TEST(ActivationRange, MinMaxErrsByAtMostHalfAStep) {
  TestRandom random(5);
  std::vector<float> values(1000);
  for (float& v : values) v = random.Normal(2);
  const ActivationGrid grid =
      ChooseGrid(StatsOf(values), {RangeMethod::kMinMax, 1});
  for (const float v : values) {
    EXPECT_LE(std::abs(ApplyGrid(grid, v) - v), grid.scale * 0.50002f);
  }
}

class MseRanges : public ::testing::TestWithParam<int> {};

TEST_P(MseRanges, ErrHardlyMoreThanTheBestOfAFineSearch) {
  TestRandom random(GetParam());
  std::vector<float> values = ReluLike(20000, GetParam());
  if (GetParam() % 2 == 1) {
    for (float& v : values) v -= 0.3f * random.Normal(1);
  }
  const TensorStats stats = StatsOf(values);
  const double error =
      GridError(values, ChooseGrid(stats, {RangeMethod::kMse, 1}));
  ActivationGrid grid = ChooseGrid(stats, {RangeMethod::kMinMax, 1});
  const float widest = grid.scale;
  double best = GridError(values, grid);
  for (int k = 1; k < 300; ++k) {
    grid.scale = widest * k / 300;
    best = std::min(best, GridError(values, grid));
  }
  EXPECT_LE(error, 1.05 * best);
}

TEST_P(MseRanges, AreThoseOfTheSecondNormAndWiderNormsClipLess) {
  const TensorStats stats = StatsOf(ReluLike(20000, GetParam()));
  const auto point = [&stats](double norm) {
    return ClippingPoint(stats, {RangeMethod::kNorm, 1, norm, 4});
  };
  EXPECT_NEAR(point(2), ClippingPoint(stats, {RangeMethod::kMse, 1, 2, 4}),
              0.03f * stats.max);
  EXPECT_LE(point(2), point(3));
  EXPECT_LT(point(2), point(8));
}

TEST_P(MseRanges, EntropyClipsTheTail) {
  const TensorStats stats = StatsOf(ReluLike(20000, GetParam()));
  const float point = ClippingPoint(stats, {RangeMethod::kEntropy, 1, 2, 4});
  EXPECT_LT(point, 0.9f * stats.max);
  EXPECT_GT(point, 0.02f * stats.max);
}

// As TensorRT's calibration ("8-bit Inference with TensorRT", 2017) has it, for
// the first `bins` of `counts` in `groups` groups.
double SlowDivergence(const std::vector<double>& counts, int bins, int groups) {
  std::vector<double> p(counts.begin(), counts.begin() + bins);
  p.back() += std::accumulate(counts.begin() + bins, counts.end(), 0.0);
  std::vector<double> q(bins, 0);
  for (int group = 0; group < groups; ++group) {
    const int first = group * bins / groups;
    const int end = (group + 1) * bins / groups;
    const double sum =
        std::accumulate(counts.begin() + first, counts.begin() + end, 0.0);
    const auto filled =
        std::count_if(counts.begin() + first, counts.begin() + end,
                      [](double count) { return count > 0; });
    for (int i = first; i < end; ++i) {
      if (counts[i] > 0) q[i] = sum / static_cast<double>(filled);
    }
  }
  if (q.back() == 0) q.back() = 1;
  const double in_p = std::accumulate(p.begin(), p.end(), 0.0);
  const double in_q =
      std::accumulate(counts.begin(), counts.begin() + bins, 0.0);
  double divergence = 0;
  for (int i = 0; i < bins; ++i) {
    if (p[i] == 0) continue;
    divergence += p[i] / in_p * std::log(p[i] / in_p / (q[i] / in_q));
  }
  return divergence;
}

TEST_P(MseRanges, EntropyIsTheLeastDivergenceOfAllItsLevels) {
  for (const bool is_signed : {false, true}) {
    for (const int bits : {4, 8}) {
      std::vector<float> values = ReluLike(20000, GetParam());
      if (is_signed) values[0] = -0.01f;
      const TensorStats stats = StatsOf(values);
      const size_t half = stats.histogram.size() / 2;
      std::vector<double> counts(half);
      for (size_t i = 0; i < half; ++i) {
        counts[i] = static_cast<double>(stats.histogram[half + i] +
                                        stats.histogram[half - 1 - i]);
      }
      const int levels = is_signed ? 1 << (bits - 1) : 1 << bits;
      const double width = stats.limit / static_cast<double>(half);
      const int used = std::min(
          static_cast<int>(half),
          static_cast<int>(std::max(stats.max, -stats.min) / width) + 1);
      int best = used;
      double least = HUGE_VAL;
      for (int bins = std::min(used, std::max({used / 16, levels, 8}));
           bins <= used; ++bins) {
        const double divergence = SlowDivergence(counts, bins, levels);
        if (divergence >= least) continue;
        least = divergence;
        best = bins;
      }
      EXPECT_FLOAT_EQ(ClippingPoint(stats, {RangeMethod::kEntropy, 1, 2, bits}),
                      static_cast<float>(best * width))
          << is_signed << " " << bits;
    }
  }
}

TEST(ActivationRange, TheMovingAverageIsUsedWhereItIsKnown) {
  TensorStats stats = StatsOf({0, 10});
  EXPECT_EQ(ClippingPoint(stats, {RangeMethod::kMovingAverage}), 10);
  stats.average_magnitude = 4;
  EXPECT_EQ(ClippingPoint(stats, {RangeMethod::kMovingAverage}), 4);
}

INSTANTIATE_TEST_SUITE_P(Seeds, MseRanges, ::testing::Range(0, 6));

TEST(ChooseGrid, AnAsymmetricOneCoversBothEndsWithHalfTheStep) {
  TensorStats stats = EmptyStats();
  std::vector<float> values;
  for (int i = 0; i <= 1000; ++i) values.push_back(-0.5f + 0.006f * i);
  ASSERT_TRUE(AddToStats(values, &stats));
  RangeOptions options;
  options.method = RangeMethod::kMinMax;
  options.grids = ActivationGrids::kSymmetric;
  const ActivationGrid symmetric = ChooseGrid(stats, options);
  options.grids = ActivationGrids::kAsymmetric;
  const ActivationGrid grid = ChooseGrid(stats, options);
  EXPECT_FALSE(grid.is_signed);
  EXPECT_NEAR(grid.scale, 6.0f / 255, 1e-3);
  EXPECT_LT(grid.scale, 0.6f * symmetric.scale);
  const Tensor tensor =
      Tensor::Of<float>({static_cast<int64_t>(values.size())}, values);
  const Tensor rounded = RoundToGrid(tensor, grid);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(rounded.values<float>()[i], values[i], 0.51f * grid.scale);
  }
  // Zero, which padding is, has a level of its own.
  EXPECT_EQ(RoundToGrid(Tensor(), grid).values<float>()[0], 0);
}

TEST(ChooseGrid, OnlySkewedTensorsGetAZeroPointByDefault) {
  const auto zero_point = [](float low, float high) {
    return ChooseGrid(StatsOf({low, 0.3f * low, 0.4f * high, high}), {})
        .zero_point;
  };
  EXPECT_EQ(zero_point(-2.1f, 2.6f), 0);
  EXPECT_EQ(zero_point(-1.0f, 1.9f), 0);
  EXPECT_GT(zero_point(-1.0f, 2.1f), 50);
  EXPECT_GT(zero_point(-0.28f, 6.0f), 5);
  EXPECT_GT(zero_point(-60.0f, 20.0f), 150);
  EXPECT_EQ(zero_point(0.0f, 6.0f), 0);
}

// Values as GELU gives them: a short negative side, a long positive one.
std::vector<float> GeluLike(int count, uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> values;
  for (int i = 0; i < count; ++i) {
    const float x = random.Normal(1.5f) * (i % 50 == 0 ? 3.0f : 1.0f);
    values.push_back(0.5f * x * (1 + std::erf(x / std::sqrt(2.0f))));
  }
  return values;
}

// Mean |error|^norm of the values on an unsigned grid of `bits` bits.
double MeanError(const std::vector<float>& values, const ActivationGrid& grid,
                 double norm, int bits) {
  const double zero = grid.zero_point;
  const double most = LargestLevel(/*is_signed=*/false, bits);
  double sum = 0;
  for (const float value : values) {
    const double level = std::min(
        std::max(std::nearbyint(value / grid.scale) + zero, 0.0), most);
    sum += std::pow(std::abs(value - (level - zero) * grid.scale), norm);
  }
  return sum / static_cast<double>(values.size());
}

class AsymmetricRanges : public ::testing::TestWithParam<int> {};

TEST_P(AsymmetricRanges, ErrHardlyMoreThanTheBestPairOfEnds) {
  const std::vector<float> values = GeluLike(3000, GetParam());
  const TensorStats stats = StatsOf(values);
  for (const int bits : {3, 4, 8}) {
    for (const double norm : {2.0, 3.0}) {
      RangeOptions options{norm == 2 ? RangeMethod::kMse : RangeMethod::kNorm,
                           1, norm, bits};
      options.grids = ActivationGrids::kAsymmetric;
      const double found =
          MeanError(values, ChooseGrid(stats, options), norm, bits);
      const float most = static_cast<float>(LargestLevel(false, bits));
      double least = HUGE_VAL;
      for (int h = 2; h <= 50; ++h) {
        for (int l = 0; l <= 50; l += 2) {
          ActivationGrid grid;
          const float low = stats.min * static_cast<float>(l) / 50;
          grid.scale = (stats.max * static_cast<float>(h) / 50 - low) / most;
          grid.zero_point = static_cast<int>(std::nearbyint(-low / grid.scale));
          least = std::min(least, MeanError(values, grid, norm, bits));
        }
      }
      EXPECT_LT(found, 1.05 * least) << bits << " bits, norm " << norm;
    }
  }
}

TEST_P(AsymmetricRanges, APercentileLeavesOutItsShareOfEachEnd) {
  const std::vector<float> values = GeluLike(20000, GetParam());
  const TensorStats stats = StatsOf(values);
  RangeOptions options;
  options.method = RangeMethod::kPercentile;
  options.percentile = 0.98;
  options.grids = ActivationGrids::kAsymmetric;
  const ActivationGrid grid = ChooseGrid(stats, options);
  const float high = grid.scale * static_cast<float>(255 - grid.zero_point);
  const auto above = std::count_if(values.begin(), values.end(),
                                   [high](float x) { return x > high; });
  // To a bin of the histogram.
  EXPECT_NEAR(static_cast<double>(above), 0.01 * 20000, 25);
}

TEST_P(AsymmetricRanges, EveryMethodStaysInsideWhatWasSeen) {
  const TensorStats stats = StatsOf(GeluLike(3000, GetParam()));
  for (const RangeMethod method :
       {RangeMethod::kMinMax, RangeMethod::kMovingAverage,
        RangeMethod::kPercentile, RangeMethod::kEntropy, RangeMethod::kMse,
        RangeMethod::kNorm, RangeMethod::kLossAware}) {
    for (const int bits : {2, 4, 8}) {
      RangeOptions options{method, 0.999, 2.5, bits};
      options.grids = ActivationGrids::kAsymmetric;
      const ActivationGrid grid = ChooseGrid(stats, options);
      const int most = LargestLevel(false, bits);
      EXPECT_FALSE(grid.is_signed);
      EXPECT_GE(grid.zero_point, 0);
      EXPECT_LT(grid.zero_point, most);
      EXPECT_GE(-grid.scale * grid.zero_point, stats.min - 0.51f * grid.scale);
      EXPECT_LE(grid.scale * (most - grid.zero_point),
                stats.max + 0.51f * grid.scale);
      EXPECT_GT(grid.scale * (most - grid.zero_point), 0.05f * stats.max)
          << static_cast<int>(method) << " " << bits;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AsymmetricRanges, ::testing::Range(0, 2));

}  // namespace
}  // namespace lathe
