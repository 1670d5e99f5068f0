// Tensors in files of their own.
#ifndef LATHE_COMPRESSOR_TENSOR_FILE_H_
#define LATHE_COMPRESSOR_TENSOR_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/tensor.h"

namespace lathe {

// The tensor of a serialised ONNX TensorProto (a .pb file); 16-bit floats
// become float32.
//
// Errors: those of TensorFromOnnx, and
//   InvalidArgument - the bytes are no such message.
absl::StatusOr<Tensor> ParseTensorFile(absl::string_view bytes);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TENSOR_FILE_H_
