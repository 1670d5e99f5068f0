#include "base/numeric.h"

#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(Quantile, InterpolatesBetweenOrderStatistics) {
  EXPECT_DOUBLE_EQ(Quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(Quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(Quantile({4, 1, 2, 3}, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(Quantile({7}, 0.9), 7);
  EXPECT_DOUBLE_EQ(Quantile({1, 5}, 1), 5);
}

TEST(WilsonInterval, MatchesAWorkedExample) {
  // 8 of 10, from Wilson's formula by hand: 0.4902, 0.9433.
  const Interval interval = WilsonInterval(8, 10);
  EXPECT_NEAR(interval.low, 0.4902, 1e-4);
  EXPECT_NEAR(interval.high, 0.9433, 1e-4);
}

TEST(WilsonInterval, StaysInsideZeroAndOne) {
  EXPECT_GE(WilsonInterval(0, 5).low, 0);
  EXPECT_LE(WilsonInterval(5, 5).high, 1);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(MixSeed, GivesDifferentStreams) {
  EXPECT_NE(MixSeed(1, 0), MixSeed(0, 1));
  EXPECT_NE(MixSeed(1, 0), MixSeed(1, 1));
}

}  // namespace
}  // namespace lathe
