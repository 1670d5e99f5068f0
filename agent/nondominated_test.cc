#include "agent/nondominated.h"

#include "agent/random.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(Nondominated, RanksAreThoseOfPeelingFrontsOff) {
  const std::vector<Costs> costs = {{1, 4}, {2, 2}, {4, 1}, {2, 4}, {5, 5}};
  EXPECT_EQ(NondominatedRanks(costs), (std::vector<int>{0, 0, 0, 1, 2}));
}

TEST(Nondominated, VolumeIsThatOfTheBoxesTogether) {
  EXPECT_DOUBLE_EQ(DominatedVolume({{1, 3}, {3, 1}, {3, 3}}, {4, 4}), 5);
  EXPECT_DOUBLE_EQ(DominatedVolume({{1, 1, 1}}, {2, 3, 4}), 6);
  EXPECT_DOUBLE_EQ(DominatedVolume({{0, 0, 1}, {1, 1, 0}}, {2, 2, 2}), 5);
  EXPECT_DOUBLE_EQ(DominatedVolume({{5, 0, 0}}, {2, 2, 2}), 0);
}

// Points in the unit cube: the share of a million random points that any
// dominates; 5 standard errors are 0.0025.
TEST(Nondominated, VolumeAgreesWithCounting) {
  constexpr int kDraws = 1'000'000;
  Random random(7);
  std::vector<Costs> points;
  for (int i = 0; i < 12; ++i) {
    points.push_back({random.Uniform(), random.Uniform(), random.Uniform()});
  }
  int hits = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Costs drawn = {random.Uniform(), random.Uniform(), random.Uniform()};
    for (const Costs& point : points) {
      if (!Dominates(point, drawn)) continue;
      ++hits;
      break;
    }
  }
  EXPECT_NEAR(DominatedVolume(points, {1, 1, 1}),
              static_cast<double>(hits) / kDraws, 0.0025);
}

}  // namespace
}  // namespace lathe
