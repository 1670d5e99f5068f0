#include "data/npy.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicBytes = 6;
// A header has at most some hundred bytes unless its type is a structure.
constexpr size_t kMostHeaderBytes = 65536;

struct Header {
  std::string descr;
  bool is_fortran = false;
  std::vector<int64_t> shape;
};

absl::Status Malformed(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("malformed .npy: ", why));
}

// The text after `'key':` in the dictionary, blanks skipped.
absl::StatusOr<absl::string_view> ValueOf(absl::string_view dictionary,
                                          absl::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted =
        absl::StrCat(std::string(1, quote), key, std::string(1, quote));
    const size_t at = dictionary.find(quoted);
    if (at == absl::string_view::npos) continue;
    absl::string_view rest = absl::StripLeadingAsciiWhitespace(
        dictionary.substr(at + quoted.size()));
    if (!absl::ConsumePrefix(&rest, ":")) break;
    return absl::StripLeadingAsciiWhitespace(rest);
  }
  return Malformed(absl::StrCat("the header lacks '", key, "'"));
}

absl::StatusOr<std::string> ParseDescr(absl::string_view text) {
  if (text.empty() || (text[0] != '\'' && text[0] != '"')) {
    return Malformed(
        "its type is not a plain one; save arrays of numbers, not structures");
  }
  const size_t end = text.find(text[0], 1);
  if (end == absl::string_view::npos || end > 16) {
    return Malformed("its type is unreadable");
  }
  return std::string(text.substr(1, end - 1));
}

absl::StatusOr<std::vector<int64_t>> ParseShape(absl::string_view text) {
  const size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == absl::string_view::npos) {
    return Malformed("its shape is not a tuple");
  }
  std::vector<int64_t> shape;
  int64_t elements = 1;
  std::vector<absl::string_view> parts =
      absl::StrSplit(text.substr(1, end - 1), ',');
  // "(3,)" and "()" leave an empty last part.
  if (absl::StripAsciiWhitespace(parts.back()).empty()) parts.pop_back();
  for (const absl::string_view part : parts) {
    int64_t size = 0;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(part), &size) ||
        size < 0) {
      return Malformed(absl::StrCat("dimension \"", part, "\""));
    }
    if (size > 0 && elements > kMostDatasetBytes / size) {
      return Malformed("its shape has more elements than can be read");
    }
    elements *= size;
    shape.push_back(size);
  }
  return shape;
}

absl::StatusOr<Header> ParseHeader(absl::string_view dictionary) {
  Header header;
  LATHE_ASSIGN_OR_RETURN(const absl::string_view descr,
                         ValueOf(dictionary, "descr"));
  LATHE_ASSIGN_OR_RETURN(header.descr, ParseDescr(descr));
  LATHE_ASSIGN_OR_RETURN(const absl::string_view order,
                         ValueOf(dictionary, "fortran_order"));
  header.is_fortran = absl::StartsWith(order, "True");
  if (!header.is_fortran && !absl::StartsWith(order, "False")) {
    return Malformed("fortran_order is neither True nor False");
  }
  LATHE_ASSIGN_OR_RETURN(const absl::string_view shape,
                         ValueOf(dictionary, "shape"));
  LATHE_ASSIGN_OR_RETURN(header.shape, ParseShape(shape));
  return header;
}

// Takes the header off `*bytes`, so that the array's elements are left.
absl::StatusOr<Header> TakeHeader(absl::string_view* bytes) {
  if (!absl::ConsumePrefix(bytes, absl::string_view(kMagic, kMagicBytes))) {
    return Malformed("it does not begin as NumPy files do");
  }
  if (bytes->size() < 6) return Malformed("truncated in its header");
  const int version = static_cast<unsigned char>((*bytes)[0]);
  if (version < 1 || version > 3) {
    return Malformed(absl::StrCat("version ", version, ", not 1, 2 or 3"));
  }
  const size_t length_bytes = version == 1 ? 2 : 4;
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>((*bytes)[2 + i]))
              << (8 * i);
  }
  bytes->remove_prefix(2 + length_bytes);
  if (length > kMostHeaderBytes || length > bytes->size()) {
    return Malformed("truncated in its header");
  }
  const absl::string_view dictionary = bytes->substr(0, length);
  bytes->remove_prefix(length);
  return ParseHeader(dictionary);
}

float HalfToFloat(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                              : std::ldexp(static_cast<float>(mantissa + 1024),
                                           exponent - 25);
  if (exponent == 31) {
    value = mantissa != 0 ? std::numeric_limits<float>::quiet_NaN()
                          : std::numeric_limits<float>::infinity();
  }
  return (half & 0x8000) != 0 ? -value : value;
}

// One accepted type: how its elements are stored and what they become.
struct TypeRule {
  const char* descr;
  size_t bytes;
  Array::Type type;
  // Converts `count` elements; null when the bytes can stay.
  void (*convert)(const char* from, int64_t count, char* to);
};

template <typename From, typename To>
void ConvertElements(const char* from, int64_t count, char* to) {
  for (int64_t i = 0; i < count; ++i) {
    From element;
    std::memcpy(&element, from + i * sizeof(From), sizeof(From));
    const To converted = static_cast<To>(element);
    std::memcpy(to + i * sizeof(To), &converted, sizeof(To));
  }
}

void ConvertHalves(const char* from, int64_t count, char* to) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    const float converted = HalfToFloat(half);
    std::memcpy(to + 4 * i, &converted, 4);
  }
}

constexpr TypeRule kTypes[] = {
    {"f4", 4, Array::Type::kFloat32, nullptr},
    {"f8", 8, Array::Type::kFloat32, ConvertElements<double, float>},
    {"f2", 2, Array::Type::kFloat32, ConvertHalves},
    {"u1", 1, Array::Type::kUint8, nullptr},
    {"b1", 1, Array::Type::kUint8, nullptr},
    {"i1", 1, Array::Type::kInt8, nullptr},
    {"i2", 2, Array::Type::kInt32, ConvertElements<int16_t, int32_t>},
    {"u2", 2, Array::Type::kInt32, ConvertElements<uint16_t, int32_t>},
    {"i4", 4, Array::Type::kInt32, nullptr},
    {"u4", 4, Array::Type::kInt64, ConvertElements<uint32_t, int64_t>},
    {"i8", 8, Array::Type::kInt64, nullptr},
    {"u8", 8, Array::Type::kInt64, ConvertElements<uint64_t, int64_t>},
};

absl::StatusOr<const TypeRule*> FindType(absl::string_view descr) {
  const char order = descr.empty() ? '?' : descr[0];
  for (const TypeRule& rule : kTypes) {
    if (descr.empty() || descr.substr(1) != rule.descr) continue;
    if (order == '<' || order == '|' || rule.bytes == 1) return &rule;
    if (order == '>') {
      return absl::InvalidArgumentError(absl::StrCat(
          "type ", descr, " is big endian; save it as <", rule.descr));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "type ", descr,
      " is not supported; save float32, uint8 or an integer type"));
}

// Elements of a Fortran-ordered array in C order.
std::string ToRowMajor(absl::string_view bytes, absl::Span<const int64_t> shape,
                       size_t element_bytes) {
  std::string turned(bytes.size(), '\0');
  std::vector<int64_t> index(shape.size(), 0);
  const int64_t count = bytes.size() / element_bytes;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d) at = at * shape[d] + index[d];
    std::memcpy(&turned[at * element_bytes], &bytes[i * element_bytes],
                element_bytes);
    for (size_t d = 0; d < shape.size() && ++index[d] == shape[d]; ++d) {
      index[d] = 0;
    }
  }
  return turned;
}

absl::Status CheckUnsigned(absl::string_view descr, absl::string_view bytes) {
  if (descr.size() < 3 || descr.substr(1) != "u8") return absl::OkStatus();
  for (size_t i = 7; i < bytes.size(); i += 8) {
    if ((bytes[i] & 0x80) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("element ", i / 8, " of type uint64 exceeds int64"));
    }
  }
  return absl::OkStatus();
}

const char* DescrOf(Array::Type type) {
  switch (type) {
    case Array::Type::kFloat32:
      return "<f4";
    case Array::Type::kUint8:
      return "|u1";
    case Array::Type::kInt8:
      return "|i1";
    case Array::Type::kInt32:
      return "<i4";
    case Array::Type::kInt64:
      return "<i8";
  }
  return "<f4";
}

}  // namespace

absl::StatusOr<Array> ParseNpy(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(Header header, TakeHeader(&bytes));
  LATHE_ASSIGN_OR_RETURN(const TypeRule* rule, FindType(header.descr));
  int64_t count = 1;
  for (const int64_t size : header.shape) count *= size;
  if (bytes.size() != count * rule->bytes) {
    return Malformed(absl::StrCat("shape (", absl::StrJoin(header.shape, ", "),
                                  ") of type ", header.descr, " takes ",
                                  count * rule->bytes, " bytes, the file has ",
                                  bytes.size()));
  }
  LATHE_RETURN_IF_ERROR(CheckUnsigned(header.descr, bytes));
  Array array;
  array.type = rule->type;
  array.shape = header.shape;
  const std::string turned =
      header.is_fortran ? ToRowMajor(bytes, header.shape, rule->bytes) : "";
  const absl::string_view ordered =
      header.is_fortran ? absl::string_view(turned) : bytes;
  if (rule->convert == nullptr) {
    array.bytes = std::string(ordered);
  } else {
    array.bytes.resize(count * ArrayElementBytes(rule->type));
    rule->convert(ordered.data(), count, &array.bytes[0]);
  }
  return array;
}

std::string NpyBytes(absl::string_view descr, absl::Span<const int64_t> shape,
                     absl::string_view bytes) {
  std::string header = absl::StrCat(
      "{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
      absl::StrJoin(shape, ", "), shape.size() == 1 ? "," : "", "), }");
  // Magic, version, length, dictionary and newline fill a multiple of 64.
  const size_t fixed = kMagicBytes + 4;
  header.append(63 - (fixed + header.size()) % 64, ' ');
  header.push_back('\n');
  std::string file(kMagic, kMagicBytes);
  file.append({'\x01', '\x00', static_cast<char>(header.size() & 0xff),
               static_cast<char>(header.size() >> 8)});
  absl::StrAppend(&file, header, bytes);
  return file;
}

std::string SerializeNpy(const Array& array) {
  return NpyBytes(DescrOf(array.type), array.shape, array.bytes);
}

}  // namespace lathe
