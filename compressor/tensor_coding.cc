#include "compressor/tensor_coding.h"

#include <zstd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

// Each wins somewhere. SqueezeNet's 1.2 million levels take, in thousands of
// bytes: 1116 and 1117 at 8 bits, 664 and 666 at 5, 536 and 528 at 4, 435 and
// 390 at 3, 307 and 232 at 2 bits. The higher one takes 0.1-0.6 s for that, so
// that it is for small tensors, and for larger ones of few bits, in which the
// lower one found as much; it would take many seconds over the largest.
constexpr int kQuickLevel = 1;
constexpr int kThoroughLevel = 19;
constexpr size_t kSmallBytes = size_t{1} << 20;
constexpr double kMostThoroughRatio = 0.6;
constexpr size_t kMostThoroughBytes = size_t{8} << 20;

constexpr size_t kMostEntries = 256;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("packed tensor: ", what));
}

// The elements that occur, in byte order, and which of them stands where.
struct Codebook {
  std::vector<std::string> entries;
  std::vector<uint8_t> indices;
};

Codebook MakeByteCodebook(absl::string_view raw) {
  int index[256] = {};
  for (const char byte : raw) index[static_cast<uint8_t>(byte)] = 1;
  Codebook book;
  for (int byte = 0; byte < 256; ++byte) {
    if (index[byte] == 0) continue;
    index[byte] = static_cast<int>(book.entries.size());
    book.entries.emplace_back(1, static_cast<char>(byte));
  }
  book.indices.reserve(raw.size());
  for (const char byte : raw) {
    book.indices.push_back(
        static_cast<uint8_t>(index[static_cast<uint8_t>(byte)]));
  }
  return book;
}

// None when more than kMostEntries different elements occur.
std::optional<Codebook> MakeCodebook(absl::string_view raw, int width) {
  if (width == 1) return MakeByteCodebook(raw);
  std::map<absl::string_view, int> index;
  for (size_t at = 0; at < raw.size(); at += width) {
    index.emplace(raw.substr(at, width), 0);
    if (index.size() > kMostEntries) return std::nullopt;
  }
  Codebook book;
  for (auto& [entry, number] : index) {
    number = static_cast<int>(book.entries.size());
    book.entries.emplace_back(entry);
  }
  for (size_t at = 0; at < raw.size(); at += width) {
    book.indices.push_back(
        static_cast<uint8_t>(index.at(raw.substr(at, width))));
  }
  return book;
}

// Bits that tell `entries` entries apart; 0 for a single one.
int BitsFor(size_t entries) {
  int bits = 0;
  while ((size_t{1} << bits) < entries) ++bits;
  return bits;
}

// Lowest bits first.
std::string PackBits(const std::vector<uint8_t>& indices, int bits) {
  std::string packed((indices.size() * bits + 7) / 8, '\0');
  size_t at = 0;
  for (const uint8_t index : indices) {
    for (int b = 0; b < bits; ++b, ++at) {
      if ((index >> b & 1) != 0) {
        packed[at / 8] = static_cast<char>(packed[at / 8] | (1 << at % 8));
      }
    }
  }
  return packed;
}

std::vector<uint8_t> UnpackBits(absl::string_view packed, int bits,
                                int64_t count) {
  std::vector<uint8_t> indices(count);
  size_t at = 0;
  for (uint8_t& index : indices) {
    for (int b = 0; b < bits; ++b, ++at) {
      index |= (packed[at / 8] >> at % 8 & 1) << b;
    }
  }
  return indices;
}

// None when memory is short.
std::optional<std::string> CompressAt(int level, absl::string_view raw) {
  std::string coded(ZSTD_compressBound(raw.size()), '\0');
  const size_t size =
      ZSTD_compress(coded.data(), coded.size(), raw.data(), raw.size(), level);
  if (ZSTD_isError(size) != 0) return std::nullopt;
  coded.resize(size);
  return coded;
}

// The shorter of zstd's levels; none when memory is short.
std::optional<std::string> Compress(absl::string_view raw) {
  std::optional<std::string> quick = CompressAt(kQuickLevel, raw);
  if (!quick) return quick;
  const bool has_few_bits =
      static_cast<double>(quick->size()) <=
      kMostThoroughRatio * static_cast<double>(raw.size());
  const bool is_thorough = raw.size() <= kSmallBytes ||
                           (raw.size() <= kMostThoroughBytes && has_few_bits);
  if (!is_thorough) return quick;
  std::optional<std::string> thorough = CompressAt(kThoroughLevel, raw);
  return thorough && thorough->size() < quick->size() ? thorough : quick;
}

absl::StatusOr<std::string> Decompress(absl::string_view coded,
                                       int64_t raw_bytes) {
  std::string raw(raw_bytes, '\0');
  const size_t size =
      ZSTD_decompress(raw.data(), raw.size(), coded.data(), coded.size());
  if (ZSTD_isError(size) != 0) {
    return Malformed(absl::StrCat("zstd: ", ZSTD_getErrorName(size)));
  }
  if (size != raw.size()) {
    return Malformed(absl::StrCat(size, " bytes decoded, not ", raw.size()));
  }
  return raw;
}

// Byte b of every element, for b = 0, 1, ...
std::string ToPlanes(absl::string_view raw, int width) {
  std::string planes;
  planes.reserve(raw.size());
  for (int b = 0; b < width; ++b) {
    for (size_t at = b; at < raw.size(); at += width) planes += raw[at];
  }
  return planes;
}

std::string FromPlanes(absl::string_view planes, int width) {
  std::string raw(planes.size(), '\0');
  size_t next = 0;
  for (int b = 0; b < width; ++b) {
    for (size_t at = b; at < raw.size(); at += width) raw[at] = planes[next++];
  }
  return raw;
}

// One byte with the number of entries less one, and the entries.
std::string BookBytes(const Codebook& book) {
  std::string bytes(1, static_cast<char>(book.entries.size() - 1));
  for (const std::string& entry : book.entries) bytes += entry;
  return bytes;
}

void Consider(TensorCode code, std::string bytes, CodedTensor* best) {
  if (bytes.size() < best->bytes.size()) *best = {code, std::move(bytes)};
}

void ConsiderBook(const Codebook& book, bool has_entropy, CodedTensor* best) {
  const std::string head = BookBytes(book);
  const std::string packed =
      PackBits(book.indices, BitsFor(book.entries.size()));
  Consider(TensorCode::kPacked, absl::StrCat(head, packed), best);
  if (!has_entropy) return;
  const std::string bytes(book.indices.begin(), book.indices.end());
  if (const auto coded = Compress(bytes)) {
    Consider(TensorCode::kCoded, absl::StrCat(head, *coded), best);
  }
  if (const auto coded = Compress(packed)) {
    Consider(TensorCode::kPackedCoded, absl::StrCat(head, *coded), best);
  }
}

absl::StatusOr<std::string> DecodeBook(TensorCode code, absl::string_view coded,
                                       int64_t raw_bytes, int width) {
  if (coded.empty()) return Malformed("no codebook");
  const size_t entries = static_cast<uint8_t>(coded[0]) + size_t{1};
  if (coded.size() < 1 + entries * width) return Malformed("codebook cut off");
  const absl::string_view book = coded.substr(1, entries * width);
  coded.remove_prefix(1 + entries * width);
  const int64_t count = raw_bytes / width;
  const int bits = BitsFor(entries);
  const int64_t packed_bytes = (count * bits + 7) / 8;
  std::string decoded;
  if (code != TensorCode::kPacked) {
    LATHE_ASSIGN_OR_RETURN(
        decoded,
        Decompress(coded, code == TensorCode::kCoded ? count : packed_bytes));
    coded = decoded;
  } else if (static_cast<int64_t>(coded.size()) != packed_bytes) {
    return Malformed(
        absl::StrCat(coded.size(), " bytes of indices, not ", packed_bytes));
  }
  const std::vector<uint8_t> indices =
      code == TensorCode::kCoded
          ? std::vector<uint8_t>(coded.begin(), coded.end())
          : UnpackBits(coded, bits, count);
  std::string raw;
  raw.reserve(raw_bytes);
  for (const uint8_t index : indices) {
    if (index >= entries) return Malformed("an index without entry");
    raw.append(book.data() + index * width, width);
  }
  return raw;
}

}  // namespace

CodedTensor EncodeTensor(absl::string_view raw, int width, bool has_entropy) {
  CodedTensor best{TensorCode::kRaw, std::string(raw)};
  if (raw.empty()) return best;
  if (const auto book = MakeCodebook(raw, width)) {
    ConsiderBook(*book, has_entropy, &best);
  }
  if (!has_entropy) return best;
  if (auto coded = Compress(ToPlanes(raw, width))) {
    Consider(TensorCode::kPlanesCoded, *std::move(coded), &best);
  }
  return best;
}

absl::StatusOr<std::string> DecodeTensor(TensorCode code,
                                         absl::string_view coded,
                                         int64_t raw_bytes, int width) {
  if (raw_bytes < 0 || raw_bytes % width != 0) {
    return Malformed(absl::StrCat(raw_bytes, " bytes of elements of ", width));
  }
  switch (code) {
    case TensorCode::kRaw:
      if (static_cast<int64_t>(coded.size()) != raw_bytes) {
        return Malformed(absl::StrCat(coded.size(), " bytes, not ", raw_bytes));
      }
      return std::string(coded);
    case TensorCode::kPacked:
    case TensorCode::kCoded:
    case TensorCode::kPackedCoded:
      return DecodeBook(code, coded, raw_bytes, width);
    case TensorCode::kPlanesCoded: {
      LATHE_ASSIGN_OR_RETURN(const std::string planes,
                             Decompress(coded, raw_bytes));
      return FromPlanes(planes, width);
    }
  }
  return Malformed(absl::StrCat("code ", static_cast<int>(code),
                                " is unknown; a newer Lathe may read it"));
}

}  // namespace lathe
