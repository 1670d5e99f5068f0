// Where the data of initialisers lie in an ONNX file. Private to the
// compressor.
#ifndef LATHE_COMPRESSOR_INITIALIZER_SPANS_H_
#define LATHE_COMPRESSOR_INITIALIZER_SPANS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// The raw_data of one initialiser.
struct DataSpan {
  size_t begin = 0;  // In the file.
  int64_t size = 0;
  // Bytes of an element, 1, 2, 4 or 8; divides `size`.
  int width = 1;
};

// In ascending order, without overlap. Looks at the protobuf wire format alone:
// nothing is copied, and the bytes around stay whatever they are.
//
// Errors: InvalidArgument - not the wire format of a message.
absl::StatusOr<std::vector<DataSpan>> FindInitializerData(
    absl::string_view onnx);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_INITIALIZER_SPANS_H_
