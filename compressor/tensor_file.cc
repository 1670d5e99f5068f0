#include "compressor/tensor_file.h"

#include <limits>

#include "base/status.h"
#include "compressor/onnx_tensor.h"

namespace lathe {

absl::StatusOr<Tensor> ParseTensorFile(absl::string_view bytes) {
  onnx::TensorProto proto;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("not an ONNX TensorProto");
  }
  LATHE_ASSIGN_OR_RETURN(const Tensor tensor, TensorFromOnnx(proto));
  return WidenHalf(tensor);
}

}  // namespace lathe
