#include "evaluator/paired_test.h"

#include <random>

#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr uint32_t kSeed = 11;
constexpr double kConfidence = 0.95;

// Losses as networks have them: most samples lose nothing, some much.
double Loss(std::mt19937* random, double share) {
  std::uniform_real_distribution<double> uniform;
  return uniform(*random) < share ? uniform(*random) : 0.001 * uniform(*random);
}

// Of `runs` series of up to 256 pairs, how many were sure at some time.
int SureRuns(int runs, double own_share, double other_share) {
  std::mt19937 random(kSeed);
  int sure = 0;
  for (int run = 0; run < runs; ++run) {
    PairedTest test;
    for (int i = 0; i < 256 && test.confidence() < kConfidence; ++i) {
      test.Add(Loss(&random, own_share), Loss(&random, other_share));
    }
    sure += test.confidence() >= kConfidence;
  }
  return sure;
}

TEST(PairedTest, IsSeldomSureOfWhatIsNotSoHoweverOftenOneLooks) {
  // Of 2000 at most 5 %, and four standard deviations.
  EXPECT_LE(SureRuns(2000, 0.2, 0.2), 139) << "seed " << kSeed;
  EXPECT_LE(SureRuns(2000, 0.1, 0.3), 139) << "seed " << kSeed;
}

TEST(PairedTest, FindsOutWhatIsSo) {
  EXPECT_GE(SureRuns(200, 0.4, 0.1), 190) << "seed " << kSeed;
}

TEST(PairedTest, KnowsNothingBeforeTheFirstPairAndTellsTheMean) {
  PairedTest test;
  EXPECT_EQ(test.confidence(), 0);
  EXPECT_EQ(test.mean_difference(), 0);
  test.Add(0.5, 0.25);
  test.Add(0.25, 0.25);
  EXPECT_EQ(test.mean_difference(), 0.125);
}

TEST(PairedTest, EqualLossesProveNothing) {
  PairedTest test;
  for (int i = 0; i < 10000; ++i) test.Add(0.3, 0.3);
  EXPECT_EQ(test.confidence(), 0);
}

}  // namespace
}  // namespace lathe
