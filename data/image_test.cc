#include "data/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/testing/arrays.h"
#include "data/testing/pictures.h"

namespace lathe {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Red grows to the right, green downwards.
Image Gradient(int64_t height, int64_t width) {
  Image image = PlainImage(height, width, 0, 0, 90);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      image.pixels[3 * (y * width + x)] = 255 * x / (width - 1);
      image.pixels[3 * (y * width + x) + 1] = 255 * y / (height - 1);
    }
  }
  return image;
}

TEST(DecodeImage, GivesThePixelsOfAPng) {
  const Image image = Gradient(5, 9);
  const auto decoded = DecodeImage(EncodePng(image));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->height, 5);
  EXPECT_EQ(decoded->width, 9);
  EXPECT_EQ(decoded->pixels, image.pixels);
}

TEST(DecodeImage, GivesThePixelsOfAJpegNearly) {
  const Image image = Gradient(32, 48);
  const auto decoded = DecodeImage(EncodeJpeg(image));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->pixels.size(), image.pixels.size());
  double error = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    error += std::abs(int{decoded->pixels[i]} - int{image.pixels[i]});
  }
  // Quality 95 of a smooth picture loses under 1 % of the range on average.
  EXPECT_LT(error / image.pixels.size(), 2.55);
}

TEST(DecodeImage, RefusesDamage) {
  const std::string png = EncodePng(Gradient(16, 16));
  const std::string jpeg = EncodeJpeg(Gradient(64, 64));
  std::string huge = png;
  huge[16] = huge[20] = '\x7f';  // Width and height beyond 2^30.
  const std::vector<std::string> cases = {"",
                                          "GIF89a",
                                          "\xff\xd8",
                                          "\x89PNG",
                                          png.substr(0, png.size() / 2),
                                          jpeg.substr(0, jpeg.size() / 2),
                                          huge};
  for (const std::string& bytes : cases) {
    const auto decoded = DecodeImage(bytes);
    ASSERT_FALSE(decoded.ok()) << bytes.size();
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(DecodeImage, SurvivesDamage) {
  const Image image = Gradient(16, 16);
  for (const std::string& bytes : {EncodePng(image), EncodeJpeg(image)}) {
    ForDamagedCopies(bytes, 500, [](absl::string_view damaged) {
      const auto decoded = DecodeImage(damaged);
      if (!decoded.ok()) return;
      EXPECT_EQ(static_cast<int64_t>(decoded->pixels.size()),
                decoded->height * decoded->width * 3);
    });
  }
}

TEST(ResizeShorterSide, KeepsTheAspectAndPlainColours) {
  const Image tall = ResizeShorterSide(PlainImage(40, 20, 10, 20, 30), 8);
  EXPECT_EQ(tall.height, 16);
  EXPECT_EQ(tall.width, 8);
  EXPECT_EQ(tall.pixels, PlainImage(16, 8, 10, 20, 30).pixels);
  const Image larger = ResizeShorterSide(PlainImage(2, 3, 9, 9, 9), 4);
  EXPECT_EQ(larger.width, 6);
  EXPECT_THAT(larger.pixels, Each(9));
}

TEST(ResizeShorterSide, OfTheSameSizeChangesNothing) {
  const Image image = Gradient(7, 11);
  EXPECT_EQ(ResizeShorterSide(image, 7).pixels, image.pixels);
}

TEST(ResizeShorterSide, WeighsTheShrunkPixelsByATriangle) {
  Image row = PlainImage(1, 4, 0, 0, 0);
  row.pixels = {0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240};
  Image square;
  square.height = square.width = 4;
  for (int i = 0; i < 4; ++i) {
    square.pixels.insert(square.pixels.end(), row.pixels.begin(),
                         row.pixels.end());
  }
  const Image half = ResizeShorterSide(square, 2);
  // The left pixel's centre is 1; the triangle reaches 2 to either side, so
  // the columns at 0.5, 1.5 and 2.5 weigh 3/4, 3/4 and 1/4 (of 7/4):
  // (0 * 3 + 80 * 3 + 160 * 1) / 7 = 57.1.
  EXPECT_EQ(half.pixels[0], 57);
  EXPECT_EQ(half.pixels[3], 183);  // By symmetry 240 - 57.1.
}

TEST(CropCentre, TakesTheMiddle) {
  const auto cropped = CropCentre(Gradient(6, 4), 2);
  ASSERT_TRUE(cropped.ok()) << cropped.status();
  // Rows 2 and 3 of 6, columns 1 and 2 of 4.
  EXPECT_THAT(cropped->pixels, ElementsAre(85, 102, 90, 170, 102, 90,  //
                                           85, 153, 90, 170, 153, 90));
}

TEST(CropCentre, RefusesASmallerImage) {
  const auto cropped = CropCentre(Gradient(6, 4), 5);
  ASSERT_FALSE(cropped.ok());
  EXPECT_THAT(std::string(cropped.status().message()), HasSubstr("4 x 6"));
}

}  // namespace
}  // namespace lathe
