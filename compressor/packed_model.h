// A model file at its true bit-widths: docs/format.md.
#ifndef LATHE_COMPRESSOR_PACKED_MODEL_H_
#define LATHE_COMPRESSOR_PACKED_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

struct PackOptions {
  // Whether levels and the rest are entropy coded, or only packed at their true
  // bit-widths.
  bool has_entropy = true;
};

// Whether `bytes` start as a packed model does.
bool IsPackedModel(absl::string_view bytes);

// An ONNX file in fewer bytes. Lossless: UnpackModel gives the same file, byte
// for byte. The data of its larger initialisers are coded one by one (see
// EncodeTensor), whatever they hold: levels of few bits, clustered or sparse
// weights. Equal arguments give equal bytes.
//
// Errors: InvalidArgument - `onnx` is no protobuf message of an ONNX model.
absl::StatusOr<std::string> PackModel(absl::string_view onnx,
                                      const PackOptions& options = {});

// The ONNX file in a packed model. Survives any bytes; takes at most
// 1 MiB + 1024 * packed.size() bytes and a few copies of it.
//
// Errors:
//   InvalidArgument - not a packed model, truncated, of another version, or
//     damaged: the SHA-256 of the file does not fit.
absl::StatusOr<std::string> UnpackModel(absl::string_view packed);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_PACKED_MODEL_H_
