// Models that leave sizes open, for tests.
#ifndef LATHE_COMPRESSOR_TESTING_OPEN_SIZES_H_
#define LATHE_COMPRESSOR_TESTING_OPEN_SIZES_H_

#include <string>

#include "onnx/onnx_pb.h"

namespace lathe {

// The ONNX file `bytes` with height and width of its first input, [N, C, H, W],
// left open.
inline std::string WithOpenImageSize(const std::string& bytes) {
  onnx::ModelProto model;
  model.ParseFromString(bytes);
  auto* shape = model.mutable_graph()
                    ->mutable_input(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->mutable_dim(2)->set_dim_param("height");
  shape->mutable_dim(3)->set_dim_param("width");
  return model.SerializeAsString();
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_OPEN_SIZES_H_
