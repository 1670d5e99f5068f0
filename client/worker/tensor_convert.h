// Tensors between .npy files and models.
#ifndef LATHE_CLIENT_WORKER_TENSOR_CONVERT_H_
#define LATHE_CLIENT_WORKER_TENSOR_CONVERT_H_

#include <string>

#include "absl/status/statusor.h"
#include "compressor/tensor.h"
#include "data/dataset.h"

namespace lathe {

// The same elements, type and shape.
Tensor TensorFromArray(const Array& array);

// `tensor` with elements of `type`.
//
// Errors:
//   InvalidArgument - an element that `type` cannot hold exactly (float32
//     from float64 may round), or a 16-bit float type.
absl::StatusOr<Tensor> ConvertTensor(const Tensor& tensor, DataType type);

// The tensor as a .npy file; bfloat16, which NumPy lacks, as its bits (uint16).
std::string NpyOfTensor(const Tensor& tensor);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_TENSOR_CONVERT_H_
