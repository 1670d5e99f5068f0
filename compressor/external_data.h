// Weights in files beside an ONNX file.
#ifndef LATHE_COMPRESSOR_EXTERNAL_DATA_H_
#define LATHE_COMPRESSOR_EXTERNAL_DATA_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// A part of a file beside the model.
struct ExternalPart {
  // As the model says: a path of plain names, relative to the model's folder.
  std::string location;
  int64_t offset = 0;
  // None: up to the end of the file.
  std::optional<int64_t> length;
  // The most bytes that are taken.
  int64_t most_bytes = 0;
};

using ExternalReader =
    std::function<absl::StatusOr<std::string>(const ExternalPart& part)>;

// The ONNX model `bytes` with all its tensors inside; `bytes` themselves where
// they are, and where this is no ONNX model.
//
// Errors: those of `read`, with the tensor's name;
//   InvalidArgument - a location that is absolute or leads upwards, a negative
//     or unreadable offset or length;
//   ResourceExhausted - the whole would have more than kMostModelBytes.
absl::StatusOr<std::string> InlineExternalData(absl::string_view bytes,
                                               const ExternalReader& read);

// A model file, with what it keeps in other files of its folder.
//
// Errors: those of ReadFile and InlineExternalData;
//   InvalidArgument - a part beyond the end of its file, or one that is no
//     regular file in the model's folder (a link out of it, a device).
absl::StatusOr<std::string> ReadModelFile(const std::string& path);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_EXTERNAL_DATA_H_
