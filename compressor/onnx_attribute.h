// ONNX's attributes to attributes and back. Private to the compressor.
#ifndef LATHE_COMPRESSOR_ONNX_ATTRIBUTE_H_
#define LATHE_COMPRESSOR_ONNX_ATTRIBUTE_H_

#include <string>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "onnx/onnx_pb.h"

namespace lathe {

// The attribute; tensors of 16-bit floats are widened.
//
// Errors:
//   InvalidArgument - no type, or a tensor that is not consistent.
//   Unimplemented - subgraphs, references to functions, unknown types.
absl::StatusOr<Attribute> AttributeFromOnnx(const onnx::AttributeProto& proto);

// The tensor of a Constant node, whichever attribute holds it.
//
// Errors: as AttributeFromOnnx; InvalidArgument - no attribute; Unimplemented -
// strings.
absl::StatusOr<Tensor> ConstantFromOnnx(const onnx::NodeProto& node);

// Adds the attribute to `node`.
void AttributeToOnnx(const std::string& name, const Attribute& value,
                     onnx::NodeProto* node);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ONNX_ATTRIBUTE_H_
