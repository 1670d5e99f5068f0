#include "compressor/onnx_attribute.h"

#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "compressor/onnx_tensor.h"

namespace lathe {

absl::StatusOr<Attribute> AttributeFromOnnx(const onnx::AttributeProto& proto) {
  if (!proto.ref_attr_name().empty()) {
    return absl::UnimplementedError(
        "attributes of functions are not supported");
  }
  switch (proto.type()) {
    case onnx::AttributeProto::FLOAT:
      return Attribute(proto.f());
    case onnx::AttributeProto::INT:
      return Attribute(static_cast<int64_t>(proto.i()));
    case onnx::AttributeProto::STRING:
      return Attribute(proto.s());
    case onnx::AttributeProto::FLOATS:
      return Attribute(
          std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case onnx::AttributeProto::INTS:
      return Attribute(
          std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case onnx::AttributeProto::STRINGS:
      return Attribute(std::vector<std::string>(proto.strings().begin(),
                                                proto.strings().end()));
    case onnx::AttributeProto::TENSOR: {
      LATHE_ASSIGN_OR_RETURN(const Tensor tensor, TensorFromOnnx(proto.t()));
      return Attribute(WidenHalf(tensor));
    }
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::GRAPHS:
      return absl::UnimplementedError(
          "operators with subgraphs (If, Loop, Scan) are not supported; "
          "export the model without control flow");
    default:
      return absl::InvalidArgumentError("has no type that is understood");
  }
}

absl::StatusOr<Tensor> ConstantFromOnnx(const onnx::NodeProto& node) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    LATHE_ASSIGN_OR_RETURN(const Attribute value, AttributeFromOnnx(attribute));
    if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
    if (const auto* real = std::get_if<float>(&value)) {
      return Tensor::Of<float>({}, std::vector<float>{*real});
    }
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      return Tensor::Of<int64_t>({}, std::vector<int64_t>{*integer});
    }
    if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
      return Tensor::Of<float>({static_cast<int64_t>(reals->size())}, *reals);
    }
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
      return Tensor::Of<int64_t>({static_cast<int64_t>(integers->size())},
                                 *integers);
    }
    return absl::UnimplementedError("constants of strings are not supported");
  }
  return absl::InvalidArgumentError("has no value");
}

void AttributeToOnnx(const std::string& name, const Attribute& value,
                     onnx::NodeProto* node) {
  onnx::AttributeProto* proto = node->add_attribute();
  proto->set_name(name);
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    proto->set_type(onnx::AttributeProto::INT);
    proto->set_i(*integer);
  } else if (const auto* real = std::get_if<float>(&value)) {
    proto->set_type(onnx::AttributeProto::FLOAT);
    proto->set_f(*real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    proto->set_type(onnx::AttributeProto::STRING);
    proto->set_s(*text);
  } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
    proto->set_type(onnx::AttributeProto::INTS);
    for (const int64_t i : *integers) proto->add_ints(i);
  } else if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
    proto->set_type(onnx::AttributeProto::FLOATS);
    for (const float f : *reals) proto->add_floats(f);
  } else if (const auto* texts =
                 std::get_if<std::vector<std::string>>(&value)) {
    proto->set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& s : *texts) proto->add_strings(s);
  } else if (const auto* tensor = std::get_if<Tensor>(&value)) {
    proto->set_type(onnx::AttributeProto::TENSOR);
    TensorToOnnx(*tensor, proto->mutable_t());
  }
}

}  // namespace lathe
