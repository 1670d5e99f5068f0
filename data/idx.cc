#include "data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

// IDX type codes and what they become.
struct TypeRule {
  int code;
  size_t bytes;
  Array::Type type;
};
constexpr TypeRule kTypes[] = {
    {0x08, 1, Array::Type::kUint8},   {0x09, 1, Array::Type::kInt8},
    {0x0b, 2, Array::Type::kInt32},   {0x0c, 4, Array::Type::kInt32},
    {0x0d, 4, Array::Type::kFloat32},
};

uint32_t BigEndian(const char* bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// Ends the stream on every way out.
struct InflateStream {
  z_stream stream = {};
  ~InflateStream() { inflateEnd(&stream); }
};

absl::StatusOr<std::string> Gunzip(absl::string_view bytes) {
  InflateStream state;
  z_stream& stream = state.stream;
  constexpr int kGzipWindow = 16 + 15;
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) {
    return absl::ResourceExhaustedError("no memory for zlib");
  }
  std::string out;
  size_t consumed = 0;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    const size_t size = out.size();
    out.resize(size + kChunkBytes);
    const size_t room = std::min(bytes.size() - consumed, kChunkBytes);
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + consumed));
    stream.avail_in = room;
    stream.next_out = reinterpret_cast<Bytef*>(&out[size]);
    stream.avail_out = kChunkBytes;
    result = inflate(&stream, Z_NO_FLUSH);
    consumed += room - stream.avail_in;
    out.resize(size + kChunkBytes - stream.avail_out);
    if (result != Z_OK && result != Z_STREAM_END) {
      return absl::InvalidArgumentError(
          consumed == bytes.size() ? "truncated gzip" : "damaged gzip");
    }
    if (static_cast<int64_t>(out.size()) > kMostDatasetBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", kMostDatasetBytes, " bytes unpacked"));
    }
  }
  if (consumed != bytes.size()) {
    return absl::InvalidArgumentError("bytes after the end of the gzip");
  }
  return out;
}

// Widens and turns big-endian elements.
std::string ToNative(absl::string_view bytes, const TypeRule& rule) {
  if (rule.bytes == 1) return std::string(bytes);
  std::string native(bytes.size() / rule.bytes * 4, '\0');
  for (size_t i = 0; i < bytes.size() / rule.bytes; ++i) {
    uint32_t value = BigEndian(&bytes[i * rule.bytes], rule.bytes);
    if (rule.bytes == 2)
      value = static_cast<int32_t>(static_cast<int16_t>(value));
    std::memcpy(&native[4 * i], &value, 4);
  }
  return native;
}

absl::StatusOr<Array> ParsePlainIdx(absl::string_view bytes) {
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) {
    return absl::InvalidArgumentError("not an IDX file: it begins otherwise");
  }
  const int code = static_cast<unsigned char>(bytes[2]);
  const TypeRule* rule =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [code](const TypeRule& type) { return type.code == code; });
  if (rule == std::end(kTypes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "IDX type ", code, " is not supported; 8, 9, 11, 12 and 13 are"));
  }
  const size_t rank = static_cast<unsigned char>(bytes[3]);
  if (rank == 0 || rank > 8 || bytes.size() < 4 + 4 * rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "IDX with ", rank, " dimensions, not 1 to 8, or truncated"));
  }
  Array array;
  array.type = rule->type;
  int64_t count = 1;
  for (size_t d = 0; d < rank; ++d) {
    const int64_t size = BigEndian(&bytes[4 + 4 * d], 4);
    if (size > 0 && count > kMostDatasetBytes / size) {
      return absl::InvalidArgumentError("IDX shape too large");
    }
    count *= size;
    array.shape.push_back(size);
  }
  bytes.remove_prefix(4 + 4 * rank);
  if (bytes.size() != count * rule->bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "IDX shape (", absl::StrJoin(array.shape, ", "), ") takes ",
        count * rule->bytes, " bytes, the file has ", bytes.size()));
  }
  array.bytes = ToNative(bytes, *rule);
  return array;
}

}  // namespace

absl::StatusOr<Array> ParseIdx(absl::string_view bytes) {
  if (!absl::StartsWith(bytes, "\x1f\x8b")) return ParsePlainIdx(bytes);
  LATHE_ASSIGN_OR_RETURN(const std::string plain, Gunzip(bytes));
  return ParsePlainIdx(plain);
}

std::string IdxLabelsPath(const std::string& images_path) {
  const size_t slash = images_path.rfind('/');
  const size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  const std::string name = images_path.substr(name_at);
  const std::string labels = absl::StrReplaceAll(
      name, {{"images", "labels"}, {"idx3", "idx1"}, {"idx4", "idx1"}});
  if (labels == name) return "";
  return images_path.substr(0, name_at) + labels;
}

}  // namespace lathe
