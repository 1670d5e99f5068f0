#include "compressor/tensor_coding.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace lathe {
namespace {

// `count` elements of `width` bytes, drawn from `different` random ones with
// probabilities that fall off.
std::string Skewed(uint32_t seed, int64_t count, int width, int different) {
  std::mt19937 random(seed);
  std::vector<std::string> entries;
  for (int i = 0; i < different; ++i) {
    std::string entry;
    for (int b = 0; b < width; ++b) entry += static_cast<char>(random());
    entries.push_back(entry);
  }
  std::geometric_distribution<int> draw(0.3);
  std::string raw;
  for (int64_t i = 0; i < count; ++i) {
    raw += entries[std::min(draw(random), different - 1)];
  }
  return raw;
}

TEST(TensorCoding, GivesBackWhatWasEncodedInEveryWidth) {
  for (const int width : {1, 2, 4, 8}) {
    for (const int different : {1, 2, 3, 16, 17, 200, 256, 300}) {
      for (const bool has_entropy : {false, true}) {
        for (const int64_t count : {0, 1, 7, 1000}) {
          const std::string raw = Skewed(width, count, width, different);
          const CodedTensor coded = EncodeTensor(raw, width, has_entropy);
          const auto decoded = DecodeTensor(
              coded.code, coded.bytes, static_cast<int64_t>(raw.size()), width);
          ASSERT_TRUE(decoded.ok()) << decoded.status();
          EXPECT_EQ(*decoded, raw) << width << " " << different;
          EXPECT_LE(coded.bytes.size(), raw.size());
        }
      }
    }
  }
}

TEST(TensorCoding, PacksLevelsAtTheirTrueWidth) {
  std::mt19937 random(1);
  std::string levels;
  for (int i = 0; i < 8000; ++i) levels += static_cast<char>(random() % 15 - 7);
  const CodedTensor coded = EncodeTensor(levels, 1, /*has_entropy=*/false);
  EXPECT_EQ(coded.code, TensorCode::kPacked);
  EXPECT_EQ(coded.bytes.size(), 1u + 15 + 4000);
}

TEST(TensorCoding, PacksClusteredFloatsAsIndices) {
  const std::string raw = Skewed(3, 4096, 4, 16);
  const CodedTensor packed = EncodeTensor(raw, 4, /*has_entropy=*/false);
  EXPECT_LE(packed.bytes.size(), 1u + 16 * 4 + 2048);
  // The probabilities fall off: entropy coding gains on top.
  EXPECT_LT(EncodeTensor(raw, 4, /*has_entropy=*/true).bytes.size(),
            packed.bytes.size());
}

TEST(TensorCoding, MostlyZerosTakeLessThanABitEach) {
  std::mt19937 random(1);
  std::string levels;
  for (int i = 0; i < 16000; ++i) levels += random() % 20 == 0 ? '\1' : '\0';
  EXPECT_LT(EncodeTensor(levels, 1, true).bytes.size(), 16000u / 8 / 2);
}

TEST(TensorCoding, SurvivesAnyBytes) {
  std::mt19937 random(7);
  const std::string raw = Skewed(5, 500, 4, 20);
  const CodedTensor good = EncodeTensor(raw, 4, true);
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = good.bytes;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % (bytes.size() + 1));
    const auto code = static_cast<TensorCode>(random() % 7);
    const auto decoded = DecodeTensor(code, bytes, random() % 3000, 4);
    if (!decoded.ok()) {
      EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace lathe
