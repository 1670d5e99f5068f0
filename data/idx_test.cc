#include "data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/testing/arrays.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string BigEndian(uint32_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  return text;
}

std::string IdxFile(char type, const std::vector<uint32_t>& shape,
                    const std::string& elements) {
  std::string file({'\0', '\0', type, static_cast<char>(shape.size())});
  for (const uint32_t size : shape) file += BigEndian(size);
  return file + elements;
}

std::string Gzip(const std::string& plain) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = plain.size();
  stream.next_out = reinterpret_cast<Bytef*>(&packed[0]);
  stream.avail_out = packed.size();
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

TEST(Idx, ReadsImagesPlainAndPacked) {
  const std::string plain = IdxFile(8, {2, 1, 3}, "abcdef");
  for (const std::string& bytes : {plain, Gzip(plain)}) {
    const auto array = ParseIdx(bytes);
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_THAT(array->shape, ElementsAre(2, 1, 3));
    EXPECT_EQ(array->type, Array::Type::kUint8);
    EXPECT_EQ(array->bytes, "abcdef");
  }
}

TEST(Idx, TurnsBigEndianElements) {
  const auto shorts =
      ParseIdx(IdxFile(0x0b, {2}, BigEndian(0xfffe, 2) + BigEndian(258, 2)));
  ASSERT_TRUE(shorts.ok()) << shorts.status();
  EXPECT_THAT(ValuesOf<int32_t>(*shorts), ElementsAre(-2, 258));
  const auto floats = ParseIdx(IdxFile(0x0d, {1}, BigEndian(0x3fc00000)));
  ASSERT_TRUE(floats.ok()) << floats.status();
  EXPECT_THAT(ValuesOf<float>(*floats), ElementsAre(1.5f));
}

TEST(Idx, FindsTheLabelsOfImagesByName) {
  EXPECT_EQ(IdxLabelsPath("/images/t10k-images-idx3-ubyte.gz"),
            "/images/t10k-labels-idx1-ubyte.gz");
  EXPECT_EQ(IdxLabelsPath("train-images.idx3-ubyte"),
            "train-labels.idx1-ubyte");
  EXPECT_EQ(IdxLabelsPath("/a/pictures.gz"), "");
}

TEST(Idx, RefusesWhatItCannotRead) {
  const std::string packed = Gzip(IdxFile(8, {2, 1, 3}, "abcdef"));
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // In the checksum.
  struct Case {
    std::string bytes;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "begins otherwise"},
      {"GIF89a", "begins otherwise"},
      {IdxFile(0x0e, {1}, "12345678"), "type 14"},
      {IdxFile(8, {}, ""), "0 dimensions"},
      {IdxFile(8, {3}, "").substr(0, 6), "truncated"},
      {IdxFile(8, {3}, "ab"), "takes 3 bytes"},
      {IdxFile(8, {3}, "abcd"), "has 4"},
      {IdxFile(8, {0xffffffff, 0xffffffff}, "abcd"), "too large"},
      {packed.substr(0, packed.size() - 12), "truncated gzip"},
      {packed + "more", "after the end"},
      {damaged, "damaged gzip"},
  };
  for (const Case& c : cases) {
    const auto array = ParseIdx(c.bytes);
    ASSERT_FALSE(array.ok()) << c.message;
    EXPECT_EQ(array.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(array.status().message()), HasSubstr(c.message));
  }
}

TEST(Idx, SurvivesDamage) {
  const std::string plain = IdxFile(8, {2, 1, 3}, "abcdef");
  for (const std::string& bytes : {plain, Gzip(plain)}) {
    ForDamagedCopies(bytes, 1000, [](absl::string_view damaged) {
      const auto array = ParseIdx(damaged);
      if (array.ok()) {
        EXPECT_EQ(static_cast<int64_t>(array->bytes.size()),
                  array->SampleCount() * array->SampleElements() *
                      static_cast<int64_t>(ArrayElementBytes(array->type)));
      }
    });
  }
}

}  // namespace
}  // namespace lathe
