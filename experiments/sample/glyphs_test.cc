#include "experiments/sample/glyphs.h"

#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(Glyphs, AreTheSameForTheSameSeedAndDifferForOthers) {
  const Dataset first = MakeGlyphs(/*count=*/20, /*seed=*/1);
  EXPECT_EQ(MakeGlyphs(20, 1).inputs.at("x").bytes, first.inputs.at("x").bytes);
  EXPECT_NE(MakeGlyphs(20, 2).inputs.at("x").bytes, first.inputs.at("x").bytes);
}

TEST(Glyphs, DoNotDependOnHowManyAreMade) {
  const std::string few = MakeGlyphs(5, 1).inputs.at("x").bytes;
  EXPECT_EQ(MakeGlyphs(9, 1).inputs.at("x").bytes.substr(0, few.size()), few);
}

TEST(Glyphs, HaveOneLabelAndOneImageEach) {
  const Dataset glyphs = MakeGlyphs(25, 1);
  EXPECT_EQ(glyphs.labels.size(), 25u);
  EXPECT_EQ(glyphs.labels[13], 3);
  EXPECT_EQ(glyphs.inputs.at("x").bytes.size(), 25u * kGlyphSide * kGlyphSide);
}

}  // namespace
}  // namespace lathe
