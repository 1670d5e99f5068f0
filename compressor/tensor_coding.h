// Tensor bytes in as few bytes as a lossless code gives.
#ifndef LATHE_COMPRESSOR_TENSOR_CODING_H_
#define LATHE_COMPRESSOR_TENSOR_CODING_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// How bytes are stored; the numbers stand in files (docs/format.md).
enum class TensorCode : uint8_t {
  // As they are.
  kRaw = 0,
  // The different elements (at most 256), then an index for each element, at
  // as many bits as the number of different elements needs.
  kPacked = 1,
  // The same with one byte an index, entropy coded.
  kCoded = 2,
  // The packed indices, entropy coded: several indices share a symbol.
  kPackedCoded = 3,
  // The elements' first bytes, their second ones, and so on, entropy coded.
  kPlanesCoded = 4,
};

struct CodedTensor {
  TensorCode code = TensorCode::kRaw;
  std::string bytes;
};

// The shortest of the codes; of kRaw and kPacked only without `has_entropy`.
// Entropy coding is zstd's (FSE and Huffman). Equal arguments give equal bytes.
//
// REQUIRES: width is 1, 2, 4 or 8 and divides raw.size().
CodedTensor EncodeTensor(absl::string_view raw, int width, bool has_entropy);

// The `raw_bytes` bytes that were encoded. Takes memory in proportion to
// `raw_bytes` and `coded.size()`, whatever `coded` says.
//
// Errors: InvalidArgument - `coded` is not what EncodeTensor gives.
absl::StatusOr<std::string> DecodeTensor(TensorCode code,
                                         absl::string_view coded,
                                         int64_t raw_bytes, int width);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TENSOR_CODING_H_
