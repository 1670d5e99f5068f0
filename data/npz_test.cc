#include "data/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "data/testing/arrays.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

std::map<std::string, Array> SomeArrays() {
  return {{"x", FloatArray({2, 3}, {1, 2, 3, 4, 5, 6})},
          {"mask/of:0", ByteArray({2, 1}, {0, 255})}};
}

TEST(Npz, ReadsBackWhatItWrites) {
  const auto bytes = SerializeNpz(SomeArrays());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto arrays = ParseNpz(*bytes);
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  ASSERT_EQ(arrays->size(), 2u);
  EXPECT_EQ(arrays->at("x").bytes, SomeArrays().at("x").bytes);
  EXPECT_EQ(arrays->at("mask/of:0").shape, SomeArrays().at("mask/of:0").shape);
}

TEST(Npz, EqualArraysGiveEqualBytesInAnyTimeZone) {
  setenv("TZ", "Asia/Tokyo", 1);
  tzset();
  const auto first = SerializeNpz(SomeArrays());
  setenv("TZ", "America/New_York", 1);
  tzset();
  const auto second = SerializeNpz(SomeArrays());
  unsetenv("TZ");
  tzset();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST(Npz, RefusesWhatIsNoArchiveOfArrays) {
  const std::string good = *SerializeNpz(SomeArrays());
  std::string flipped = good;
  flipped[good.find("\x93NUMPY") + 128] ^= 1;
  struct Case {
    std::string bytes;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "zip"},
      {"not an archive", "zip"},
      {good.substr(0, good.size() / 2), "zip"},
      {absl::StrReplaceAll(good, {{"x.npy", "x.txt"}}), "is no .npy"},
      {absl::StrReplaceAll(good, {{"\x93NUMPY", "\x93NUMPZ"}}), "damaged"},
      {flipped, "damaged"},
  };
  for (const Case& c : cases) {
    const auto arrays = ParseNpz(c.bytes);
    ASSERT_FALSE(arrays.ok()) << c.message;
    EXPECT_EQ(arrays.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(arrays.status().message()), HasSubstr(c.message));
  }
}

TEST(Npz, SurvivesDamage) {
  ForDamagedCopies(*SerializeNpz(SomeArrays()), 2000,
                   [](absl::string_view damaged) {
                     const auto arrays = ParseNpz(damaged);
                     if (!arrays.ok()) {
                       EXPECT_FALSE(arrays.status().message().empty());
                     }
                   });
}

}  // namespace
}  // namespace lathe
