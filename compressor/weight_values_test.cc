#include "compressor/weight_values.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "compressor/testing/net_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Sparsity, IsAShareOrSoManyOfEach) {
  EXPECT_TRUE(ParseSparsity("")->IsNone());
  EXPECT_TRUE(ParseSparsity("0")->IsNone());
  EXPECT_DOUBLE_EQ(ParseSparsity("0.5")->ratio, 0.5);
  EXPECT_EQ(ParseSparsity("2:4")->zeros, 2);
  EXPECT_EQ(ParseSparsity("2:4")->of, 4);
  for (const char* wrong : {"1", "-0.1", "nan", "x", "4:4", "0:4", "5:4",
                            "1:65", "2:", ":", "1:x"}) {
    EXPECT_THAT(std::string(ParseSparsity(wrong).status().message()),
                HasSubstr("neither a share"))
        << wrong;
  }
}

TEST(Sparsity, TakesTheSmallestOfALayer) {
  const std::vector<float> weights = {3, -1, 0.5f, -2, 4, 0};
  EXPECT_THAT(ZeroMask(weights, 3, {0.5}),
              ElementsAre(false, true, true, false, false, true));
}

TEST(Sparsity, TakesTheSmallestOfEachFour) {
  const std::vector<float> weights = {3,           -1, 0.5f, -2, 9,
                                      /*row 2*/ 1, 2,  3,    4,  0};
  EXPECT_THAT(ZeroMask(weights, 5, {0, 2, 4}),
              ElementsAre(false, true, true, false, false,  //
                          true, true, false, false, false));
}

TEST(Codebook, HoldsTheMeansOfItsParts) {
  EXPECT_THAT(MakeCodebook({1, 5, 1.5f, 4.5f}, 2), ElementsAre(1.25f, 4.75f));
  EXPECT_THAT(MakeCodebook({2, 2, 2}, 4), ElementsAre(2));
  EXPECT_THAT(MakeCodebook({}, 4), ElementsAre(0));
}

TEST(Codebook, MoreCodesNeverLieFartherAway) {
  TestRandom random(3);
  std::vector<float> weights(500);
  for (float& weight : weights) weight = random.Normal(1);
  double last = HUGE_VAL;
  for (const int count : {1, 2, 4, 8, 16, 32}) {
    const std::vector<float> codes = MakeCodebook(weights, count);
    EXPECT_LE(static_cast<int>(codes.size()), count);
    double error = 0;
    for (const float weight : weights) {
      const float nearest = NearestCode(codes, weight);
      for (const float code : codes) {
        EXPECT_LE(std::abs(nearest - weight), std::abs(code - weight));
      }
      error += (nearest - weight) * (nearest - weight);
    }
    EXPECT_LT(error, last);
    last = error;
  }
}

// The least sum of squared distances of sorted numbers from `count` codes: the
// plain recursion over all cuts.
double LeastError(const std::vector<float>& sorted, int count) {
  const size_t n = sorted.size();
  std::vector<double> least(n + 1, HUGE_VAL);
  least[0] = 0;
  for (int code = 0; code < count; ++code) {
    std::vector<double> next(n + 1, HUGE_VAL);
    for (size_t start = 0; start < n; ++start) {
      double sum = 0;
      double squares = 0;
      for (size_t end = start + 1; end <= n; ++end) {
        sum += sorted[end - 1];
        squares += double{sorted[end - 1]} * sorted[end - 1];
        const double cost =
            squares - sum * sum / static_cast<double>(end - start);
        next[end] = std::min(next[end], least[start] + cost);
      }
    }
    next[0] = 0;
    least = next;
  }
  return least[n];
}

double ErrorOf(const std::vector<float>& weights,
               const std::vector<float>& codes) {
  double error = 0;
  for (const float weight : weights) {
    const double d = double{NearestCode(codes, weight)} - weight;
    error += d * d;
  }
  return error;
}

TEST(Codebook, ErrsAsLittleAsTheBestOfAllCuts) {
  for (int seed = 0; seed < 6; ++seed) {
    TestRandom random(seed);
    std::vector<float> weights(300);
    for (float& weight : weights) {
      // Two humps and a few far away.
      weight = random.Normal(0.3f) + (random.Below(2) == 0 ? 1.0f : -1.0f);
      if (random.Below(30) == 0) weight *= 8;
    }
    std::sort(weights.begin(), weights.end());
    for (const int count : {1, 2, 3, 8, 16, 64}) {
      const double least = LeastError(weights, count);
      EXPECT_NEAR(ErrorOf(weights, MakeCodebook(weights, count)), least,
                  1e-5 * least + 1e-6)
          << count << " codes, seed " << seed;
    }
  }
}

TEST(Codebook, OfManyWeightsErrsLessThanFromEvenStarts) {
  TestRandom random(7);
  std::vector<float> weights(20000);
  for (float& weight : weights) weight = random.Normal(1);
  weights[0] = 40;
  // Even starts leave all but one of 16 codes within 5 of 40 without weights.
  const std::vector<float> codes = MakeCodebook(weights, 16);
  EXPECT_EQ(codes.size(), 16u);
  // Of 15 levels for a normal distribution, the best scalar quantiser errs by
  // about 0.0095 (Max, "Quantizing for Minimum Distortion", 1960).
  EXPECT_LT(ErrorOf(weights, codes) / 20000, 0.0115);
}

}  // namespace
}  // namespace lathe
