#include "compressor/packed_model.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "compressor/initializer_spans.h"
#include "compressor/tensor_coding.h"

namespace lathe {
namespace {

constexpr absl::string_view kMagic = "LATHEPK\x01";
constexpr size_t kDigestBytes = 32;

// Smaller tensors cost more to list than they save.
constexpr int64_t kLeastTensorBytes = 64;

// Most bytes that a file of so many may stand for.
int64_t MostUnpackedBytes(size_t packed) {
  return (int64_t{1} << 20) + int64_t{1024} * static_cast<int64_t>(packed);
}

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("packed model: ", what));
}

void AppendNumber(uint64_t number, std::string* out) {
  for (; number >= 0x80; number >>= 7) {
    out->push_back(static_cast<char>(number | 0x80));
  }
  out->push_back(static_cast<char>(number));
}

// Takes numbers and bytes from the front. Not thread-safe.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  // At most `most`.
  absl::StatusOr<int64_t> Number(int64_t most) {
    uint64_t number = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      if (bytes_.empty()) return Malformed("cut off");
      const uint8_t byte = static_cast<uint8_t>(bytes_[0]);
      bytes_.remove_prefix(1);
      number |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (number > static_cast<uint64_t>(most)) break;
      return static_cast<int64_t>(number);
    }
    return Malformed(absl::StrCat("a number above ", most));
  }

  absl::StatusOr<absl::string_view> Bytes(int64_t count) {
    if (count > static_cast<int64_t>(bytes_.size())) {
      return Malformed("cut off");
    }
    const absl::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  bool IsAtEnd() const { return bytes_.empty(); }

 private:
  absl::string_view bytes_;
};

// A coded piece of the file.
struct Section {
  // Bytes of the structure that lie before it.
  int64_t gap = 0;
  int64_t raw_bytes = 0;
  int width = 1;
  TensorCode code = TensorCode::kRaw;
  int64_t stored_bytes = 0;
};

void AppendSection(const Section& section, std::string* out) {
  AppendNumber(section.gap, out);
  AppendNumber(section.raw_bytes, out);
  AppendNumber(section.width, out);
  AppendNumber(static_cast<uint64_t>(section.code), out);
  AppendNumber(section.stored_bytes, out);
}

absl::StatusOr<Section> ReadSection(Reader* reader, int64_t most_raw,
                                    int64_t most_stored) {
  Section section;
  LATHE_ASSIGN_OR_RETURN(section.gap, reader->Number(most_raw));
  LATHE_ASSIGN_OR_RETURN(section.raw_bytes, reader->Number(most_raw));
  LATHE_ASSIGN_OR_RETURN(const int64_t width, reader->Number(8));
  if (width != 1 && width != 2 && width != 4 && width != 8) {
    return Malformed(absl::StrCat("elements of ", width, " bytes"));
  }
  section.width = static_cast<int>(width);
  LATHE_ASSIGN_OR_RETURN(const int64_t code, reader->Number(255));
  section.code = static_cast<TensorCode>(code);
  LATHE_ASSIGN_OR_RETURN(section.stored_bytes, reader->Number(most_stored));
  return section;
}

// The digest as bytes.
std::string Digest(absl::string_view bytes) {
  return absl::HexStringToBytes(Sha256Hex(bytes));
}

}  // namespace

bool IsPackedModel(absl::string_view bytes) {
  // The last byte of the magic is the version.
  return absl::StartsWith(bytes, kMagic.substr(0, kMagic.size() - 1));
}

absl::StatusOr<std::string> PackModel(absl::string_view onnx,
                                      const PackOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<DataSpan> spans,
                         FindInitializerData(onnx));
  std::string structure;
  std::string table;
  std::string payload;
  size_t end = 0;  // Of what was taken in.
  size_t count = 0;
  for (const DataSpan& span : spans) {
    if (span.size < kLeastTensorBytes) continue;
    const CodedTensor coded = EncodeTensor(onnx.substr(span.begin, span.size),
                                           span.width, options.has_entropy);
    AppendSection(
        {static_cast<int64_t>(span.begin - end), span.size, span.width,
         coded.code, static_cast<int64_t>(coded.bytes.size())},
        &table);
    payload += coded.bytes;
    structure += std::string(onnx.substr(end, span.begin - end));
    end = span.begin + span.size;
    ++count;
  }
  structure += std::string(onnx.substr(end));
  const CodedTensor coded =
      EncodeTensor(structure, /*width=*/1, options.has_entropy);
  std::string packed(kMagic);
  packed += Digest(onnx);
  AppendNumber(count, &packed);
  AppendSection({0, static_cast<int64_t>(structure.size()), 1, coded.code,
                 static_cast<int64_t>(coded.bytes.size())},
                &packed);
  packed += table;
  packed += coded.bytes;
  packed += payload;
  // Zeros shrink without end; who reads must be able to bound memory.
  if (static_cast<int64_t>(onnx.size()) > MostUnpackedBytes(packed.size())) {
    packed.resize(onnx.size() / 1024, '\0');
  }
  return packed;
}

absl::StatusOr<std::string> UnpackModel(absl::string_view packed) {
  if (!IsPackedModel(packed)) return Malformed("it does not start as one");
  if (!absl::StartsWith(packed, kMagic)) {
    return Malformed(
        absl::StrCat("version ", packed.size() < kMagic.size() ? 0 : packed[7],
                     ", not 1; read it with the Lathe that wrote it"));
  }
  const int64_t most_raw = MostUnpackedBytes(packed.size());
  const int64_t most_stored = static_cast<int64_t>(packed.size());
  Reader reader(packed.substr(kMagic.size()));
  LATHE_ASSIGN_OR_RETURN(const absl::string_view digest,
                         reader.Bytes(kDigestBytes));
  // Each section takes at least five bytes.
  LATHE_ASSIGN_OR_RETURN(const int64_t count, reader.Number(most_stored / 5));
  std::vector<Section> sections;
  int64_t total = 0;
  for (int64_t i = 0; i <= count; ++i) {
    LATHE_ASSIGN_OR_RETURN(const Section section,
                           ReadSection(&reader, most_raw, most_stored));
    sections.push_back(section);
    total += section.raw_bytes;
    if (total > most_raw) {
      return Malformed(
          absl::StrCat("more than ", most_raw, " bytes, 1024 times the file"));
    }
  }
  const auto decode =
      [&reader](const Section& section) -> absl::StatusOr<std::string> {
    LATHE_ASSIGN_OR_RETURN(const absl::string_view stored,
                           reader.Bytes(section.stored_bytes));
    return DecodeTensor(section.code, stored, section.raw_bytes, section.width);
  };
  LATHE_ASSIGN_OR_RETURN(const std::string structure, decode(sections[0]));
  Reader skeleton(structure);
  std::string onnx;
  for (int64_t i = 1; i <= count; ++i) {
    LATHE_ASSIGN_OR_RETURN(const absl::string_view gap,
                           skeleton.Bytes(sections[i].gap));
    LATHE_ASSIGN_OR_RETURN(const std::string raw, decode(sections[i]));
    absl::StrAppend(&onnx, gap, raw);
  }
  LATHE_ASSIGN_OR_RETURN(const absl::string_view rest,
                         skeleton.Bytes(sections[0].raw_bytes -
                                        (static_cast<int64_t>(onnx.size()) -
                                         (total - sections[0].raw_bytes))));
  absl::StrAppend(&onnx, rest);
  if (Digest(onnx) != digest) {
    return Malformed("damaged: its SHA-256 does not fit; fetch it again");
  }
  return onnx;
}

}  // namespace lathe
