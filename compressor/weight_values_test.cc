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

}  // namespace
}  // namespace lathe
