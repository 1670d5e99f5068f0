#include "data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "data/testing/arrays.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file with a header of our making.
std::string NpyFile(int version, const std::string& dictionary,
                    const std::string& elements) {
  std::string file = "\x93NUMPY";
  file.push_back(static_cast<char>(version));
  file.push_back('\0');
  const size_t length = dictionary.size();
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    file.push_back(static_cast<char>((length >> (8 * i)) & 0xff));
  }
  return file + dictionary + elements;
}

std::string Dictionary(const std::string& descr, const std::string& shape,
                       const std::string& order = "False") {
  return absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", order,
                      ", 'shape': ", shape, ", }");
}

template <typename T>
std::string Raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

TEST(Npy, ReadsEveryVersionOfTheHeader) {
  for (const int version : {1, 2, 3}) {
    const auto array = ParseNpy(NpyFile(version, Dictionary("<f4", "(2, 2)"),
                                        Raw<float>({1, 2, 3, 4})));
    ASSERT_TRUE(array.ok()) << version << ": " << array.status();
    EXPECT_THAT(array->shape, ElementsAre(2, 2));
    EXPECT_THAT(ValuesOf<float>(*array), ElementsAre(1, 2, 3, 4));
  }
}

TEST(Npy, ReadsScalarsAndVectors) {
  const auto scalar = ParseNpy(NpyFile(1, Dictionary("|i1", "()"), "\x05"));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_TRUE(scalar->shape.empty());
  const auto vector = ParseNpy(NpyFile(1, Dictionary("|u1", "(3,)"), "abc"));
  ASSERT_TRUE(vector.ok()) << vector.status();
  EXPECT_THAT(vector->shape, ElementsAre(3));
}

TEST(Npy, WidensWhatArrayDoesNotHave) {
  struct Case {
    std::string descr;
    std::string elements;
    Array::Type type;
    double first;
  };
  const std::vector<Case> cases = {
      {"<f8", Raw<double>({-1.5, 0}), Array::Type::kFloat32, -1.5},
      {"<f2", Raw<uint16_t>({0xc200, 0}), Array::Type::kFloat32, -3},
      {"<f2", Raw<uint16_t>({0x0001, 0}), Array::Type::kFloat32, 5.9604645e-8},
      {"|b1", Raw<uint8_t>({1, 0}), Array::Type::kUint8, 1},
      {"<i2", Raw<int16_t>({-2, 0}), Array::Type::kInt32, -2},
      {"<u2", Raw<uint16_t>({65535, 0}), Array::Type::kInt32, 65535},
      {"<u4", Raw<uint32_t>({4294967295u, 0}), Array::Type::kInt64, 4294967295},
      {"<u8", Raw<uint64_t>({7, 0}), Array::Type::kInt64, 7},
      {"<i8", Raw<int64_t>({-7, 0}), Array::Type::kInt64, -7},
  };
  for (const Case& c : cases) {
    const auto array =
        ParseNpy(NpyFile(1, Dictionary(c.descr, "(2,)"), c.elements));
    ASSERT_TRUE(array.ok()) << c.descr << ": " << array.status();
    EXPECT_EQ(array->type, c.type) << c.descr;
    const double first =
        array->type == Array::Type::kFloat32 ? ValuesOf<float>(*array)[0]
        : array->type == Array::Type::kInt32 ? ValuesOf<int32_t>(*array)[0]
        : array->type == Array::Type::kInt64 ? ValuesOf<int64_t>(*array)[0]
                                             : ValuesOf<uint8_t>(*array)[0];
    EXPECT_FLOAT_EQ(first, c.first) << c.descr;
  }
}

TEST(Npy, TurnsFortranOrder) {
  // Columns first: element (row, column) is 10 * row + column.
  const auto array = ParseNpy(NpyFile(1, Dictionary("|u1", "(2, 3)", "True"),
                                      Raw<uint8_t>({0, 10, 1, 11, 2, 12})));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(ValuesOf<uint8_t>(*array), ElementsAre(0, 1, 2, 10, 11, 12));
}

TEST(Npy, ReadsBackWhatItWrites) {
  const Array array = FloatArray({2, 3}, {1, -2, 3, 4, 5, 1e-30f});
  const std::string bytes = SerializeNpy(array);
  EXPECT_EQ(bytes.size() % 64, array.bytes.size() % 64);
  const auto again = ParseNpy(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->shape, array.shape);
  EXPECT_EQ(again->bytes, array.bytes);
}

TEST(Npy, RefusesWhatItCannotRead) {
  const std::string four(16, '\0');
  struct Case {
    std::string bytes;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "begin"},
      {"PK\x03\x04", "begin"},
      {"\x93NUMPY", "truncated"},
      {NpyFile(4, Dictionary("<f4", "(4,)"), four), "version 4"},
      {NpyFile(1, Dictionary("<f4", "(4,)"), "").substr(0, 40), "truncated"},
      {NpyFile(1, Dictionary(">f4", "(4,)"), four), "big endian"},
      {NpyFile(1, Dictionary(">i8", "(2,)"), four), "big endian"},
      {NpyFile(1, Dictionary("|O", "(2,)"), four), "not supported"},
      {NpyFile(1, Dictionary("<c8", "(2,)"), four), "not supported"},
      {NpyFile(1, Dictionary("<U4", "(1,)"), four), "not supported"},
      {NpyFile(1, Dictionary("", "(1,)"), four), "not supported"},
      {NpyFile(1, Dictionary("<f4", "(5,)"), four), "takes 20 bytes"},
      {NpyFile(1, Dictionary("<f4", "(3,)"), four), "has 16"},
      {NpyFile(1, Dictionary("<f4", "(-4,)"), four), "dimension"},
      {NpyFile(1, Dictionary("<f4", "(4.0,)"), four), "dimension"},
      {NpyFile(1, Dictionary("<f4", "4"), four), "not a tuple"},
      {NpyFile(1, Dictionary("<f4", "(4"), four), "not a tuple"},
      {NpyFile(1, Dictionary("<f4", "(4294967296, 4294967296)"), four),
       "more elements"},
      {NpyFile(1, Dictionary("<f4", "(4,)", "Maybe"), four), "fortran_order"},
      {NpyFile(1, "{'fortran_order': False, 'shape': (4,)}", four), "'descr'"},
      {NpyFile(1,
               "{'descr': [('a', '<f4')], 'fortran_order': False, "
               "'shape': (4,)}",
               four),
       "structures"},
      {NpyFile(1, "{'descr': '<f4', 'shape': (4,)}", four), "'fortran_order'"},
      {NpyFile(1, "{'descr': '<f4', 'fortran_order': False}", four), "'shape'"},
      {NpyFile(1, Dictionary("<u8", "(2,)"), std::string(16, '\xff')),
       "exceeds int64"},
  };
  for (const Case& c : cases) {
    const auto array = ParseNpy(c.bytes);
    ASSERT_FALSE(array.ok()) << c.message;
    EXPECT_EQ(array.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(array.status().message()), HasSubstr(c.message));
  }
}

TEST(Npy, SurvivesDamage) {
  const std::string bytes = SerializeNpy(FloatArray({2, 2}, {1, 2, 3, 4}));
  ForDamagedCopies(bytes, 2000, [](absl::string_view damaged) {
    const auto array = ParseNpy(damaged);
    if (!array.ok()) return;
    int64_t elements = 1;
    for (const int64_t size : array->shape) elements *= size;
    EXPECT_EQ(array->bytes.size(), elements * ArrayElementBytes(array->type));
  });
}

}  // namespace
}  // namespace lathe
