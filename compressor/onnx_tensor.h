// ONNX's tensor messages to tensors and back.
#ifndef LATHE_COMPRESSOR_ONNX_TENSOR_H_
#define LATHE_COMPRESSOR_ONNX_TENSOR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/tensor.h"
#include "onnx/onnx_pb.h"

namespace lathe {

// The type with ONNX's number `onnx_type` (onnx::TensorProto::DataType).
//
// Errors:
//   Unimplemented - Lathe has no such type; the message names `what`.
absl::StatusOr<DataType> DataTypeFromOnnx(int64_t onnx_type,
                                          absl::string_view what);

// The inverse.
int32_t DataTypeToOnnx(DataType type);

// The tensor as it stands, 16-bit floats included. Allocates no more than the
// message itself holds, whatever its dimensions say.
//
// Errors:
//   InvalidArgument - dimensions that are negative, overflow, or do not agree
//     with the elements that are there.
//   Unimplemented - data in another file, segments, or an unknown type.
absl::StatusOr<Tensor> TensorFromOnnx(const onnx::TensorProto& proto);

// `tensor` with float32 elements when it has 16-bit floats; else itself.
Tensor WidenHalf(const Tensor& tensor);

// Whether it is of floats, of which one is NaN.
bool HasNaN(const Tensor& tensor);

// Raw bytes, without a name.
void TensorToOnnx(const Tensor& tensor, onnx::TensorProto* proto);

// The value of a float16, or a bfloat16, given by its bits.
float HalfToFloat(uint16_t bits);
float Bfloat16ToFloat(uint16_t bits);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ONNX_TENSOR_H_
