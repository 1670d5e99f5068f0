#include "evaluator/level_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace lathe {
namespace {

TEST(LevelSums, AreWhatTheFormulaSays) {
  for (const int64_t columns : {1, 7, 16, 17, 48, 61}) {
    constexpr int64_t kRows = 3;
    LevelSums of;
    std::vector<int32_t> sums;
    for (int64_t c = 0; c < columns; ++c) {
      of.scales.push_back(0.01f + 0.003f * static_cast<float>(c));
      of.weight_sums.push_back(static_cast<float>(c * 37 % 101 - 50));
      of.bias.push_back(static_cast<float>(c % 5) - 2);
    }
    for (int64_t i = 0; i < kRows * columns; ++i) {
      sums.push_back(static_cast<int32_t>(i * 7919 % 200003 - 100000));
    }
    const OwnLevels grid = {0.02f, 113};
    // A number that stands behind the last one stays.
    std::vector<float> out(kRows * columns + 1, 7);
    NumbersOfSums(sums.data(), kRows, of, grid, out.data());
    for (int64_t i = 0; i < kRows * columns; ++i) {
      const int64_t c = i % columns;
      const double centred = sums[i] - 113.0 * of.weight_sums[c];
      const double expected =
          of.bias[c] + double{grid.scale} * of.scales[c] * centred;
      EXPECT_NEAR(out[i], expected, 1e-6 * (std::abs(expected) + 3)) << i;
    }
    EXPECT_EQ(out.back(), 7);
  }
}

}  // namespace
}  // namespace lathe
