#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/canonical_passes.h"
#include "compressor/dynamic_grid.h"
#include "compressor/layer_weights.h"
#include "compressor/onnx.h"
#include "compressor/onnx_attribute.h"
#include "compressor/onnx_tensor.h"
#include "compressor/opset.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

// The IR version that came with an opset; version 8 is the newest that old
// tools read.
int64_t IrVersion(int64_t opset) {
  if (opset >= 25) return 12;
  if (opset >= 23) return 11;
  if (opset >= 21) return 10;
  if (opset >= 19) return 9;
  return 8;
}

class Serializer {
 public:
  Serializer(const Graph& graph, const Probes& probes)
      : graph_(graph), probes_(probes), proto_(*model_.mutable_graph()) {}

  absl::StatusOr<std::string> Serialize() {
    LATHE_RETURN_IF_ERROR(TakeNames());
    proto_.set_name(graph_.parts().name.empty() ? "lathe"
                                                : graph_.parts().name);
    WriteMetadata();
    LATHE_RETURN_IF_ERROR(WriteInputs());
    for (const Node& node : graph_.nodes()) WriteNode(node);
    for (const ValueId id : graph_.outputs()) {
      DescribeValue(id, proto_.add_output());
    }
    WriteConstants();
    return Bytes();
  }

 private:
  // The names that stand in the graph; made names differ from all of them.
  absl::Status TakeNames() {
    for (const Value& value : graph_.values()) {
      if (value.name.empty() || !value_names_.insert(value.name).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("value name \"", value.name,
                         "\" is empty or stands twice; rename it"));
      }
      read_names_.push_back(value.name);
    }
    for (const Node& node : graph_.nodes()) node_names_.insert(node.name);
    return absl::OkStatus();
  }

  static std::string Unused(absl::flat_hash_set<std::string>& taken,
                            const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !taken.insert(name).second; ++i) {
      name = absl::StrCat(wanted, "_", i);
    }
    return name;
  }

  void WriteMetadata() {
    const int64_t opset = graph_.parts().opset;
    model_.set_ir_version(IrVersion(opset));
    model_.set_producer_name("lathe");
    model_.set_producer_version(LATHE_VERSION);
    model_.add_opset_import()->set_version(opset);
    model_.mutable_opset_import(0)->set_domain("");
    AddMetadata("lathe.version", LATHE_VERSION);
    AddLayers(kBf16LayersKey,
              [](const Node& node) { return node.precision == v1::BF16; });
    AddLayers(kDynamicLayersKey, [](const Node& node) {
      return node.precision == v1::INT8_DYNAMIC && IsRecurrentNode(node);
    });
  }

  // The names of the nodes that `is_listed` picks, if there are any.
  template <typename IsListed>
  void AddLayers(const std::string& key, IsListed is_listed) {
    std::vector<std::string> layers;
    for (const Node& node : graph_.nodes()) {
      if (is_listed(node)) layers.push_back(node.name);
    }
    if (!layers.empty()) AddMetadata(key, absl::StrJoin(layers, "\n"));
  }

  void AddMetadata(const std::string& key, const std::string& value) {
    onnx::StringStringEntryProto* entry = model_.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }

  void DescribeValue(ValueId id, onnx::ValueInfoProto* info) {
    info->set_name(graph_.value(id).name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(DataTypeToOnnx(probes_.Type(id)));
    auto* shape = type->mutable_shape();
    for (int64_t d = 0; d < probes_.Rank(id); ++d) {
      const std::optional<int64_t> size = probes_.Size(id, d);
      if (size.has_value()) {
        shape->add_dim()->set_dim_value(*size);
      } else {
        shape->add_dim()->set_dim_param(d == 0 ? "N" : absl::StrCat("N_", d));
      }
    }
  }

  // An input with a grid is rounded before anything reads it.
  absl::Status WriteInputs() {
    for (const ValueId id : graph_.inputs()) {
      DescribeValue(id, proto_.add_input());
      if (!IsRounded(id)) continue;
      const std::string& name = graph_.value(id).name;
      if (graph_.IsOutput(id)) {
        return absl::UnimplementedError(
            absl::StrCat("input \"", name, "\" is an output and has a grid"));
      }
      read_names_[id] = Unused(value_names_, name + "/dequantized");
      WriteRounding(id, name, read_names_[id]);
    }
    return absl::OkStatus();
  }

  bool IsRounded(ValueId id) const {
    return id != kNoValue && graph_.value(id).grid.has_value() &&
           probes_.Type(id) == DataType::kFloat32;
  }

  onnx::NodeProto* AddNode(const std::string& name, const std::string& op,
                           const std::vector<std::string>& inputs,
                           const std::string& output) {
    onnx::NodeProto* proto = proto_.add_node();
    proto->set_name(name);
    proto->set_op_type(op);
    for (const std::string& input : inputs) proto->add_input(input);
    proto->add_output(output);
    return proto;
  }

  std::string AddInitializer(const std::string& wanted, const Tensor& tensor) {
    std::string name = Unused(value_names_, wanted);
    onnx::TensorProto* proto = proto_.add_initializer();
    proto->set_name(name);
    TensorToOnnx(tensor, proto);
    return name;
  }

  // QuantizeLinear and DequantizeLinear from `in` to `out` on the value's grid.
  void WriteRounding(ValueId id, const std::string& in,
                     const std::string& out) {
    const ActivationGrid& grid = *graph_.value(id).grid;
    const std::string& name = graph_.value(id).name;
    const std::string scale = AddInitializer(
        name + "/scale", Tensor::Of<float>({}, std::vector<float>{grid.scale}));
    const std::string byte(1, static_cast<char>(grid.zero_point));
    const std::string zero_point = AddInitializer(
        name + "/zero_point",
        Tensor(grid.is_signed ? DataType::kInt8 : DataType::kUint8, {}, byte));
    const std::string levels = Unused(value_names_, name + "/quantized");
    AddNode(Unused(node_names_, name + "/quantize"), "QuantizeLinear",
            {in, scale, zero_point}, levels);
    AddNode(Unused(node_names_, name + "/dequantize"), "DequantizeLinear",
            {levels, scale, zero_point}, out);
  }

  // Integer weights and the nodes that make floats of them.
  void WriteWeights(const Node& node) {
    if (node.quantized_weights) {
      WriteWeights(node, 1, *node.quantized_weights);
    }
    if (node.quantized_recurrence) {
      WriteWeights(node, 2, *node.quantized_recurrence);
    }
  }

  void WriteWeights(const Node& node, size_t input,
                    const QuantizedWeights& weights) {
    if (node.inputs.size() <= input) return;
    const ValueId id = node.inputs[input];
    const Value& value = graph_.value(id);
    if (!value.constant.has_value()) return;
    const Shape& shape = value.constant->shape();
    const auto axis = ScaleAxis(node, shape);
    const int64_t count = static_cast<int64_t>(weights.scales.size());
    const bool is_per_channel = count > 1;
    if (is_per_channel && (!axis.has_value() || shape[*axis] != count)) return;
    if (!quantized_constants_.insert(id).second) return;
    const Shape scale_shape = is_per_channel ? Shape{count} : Shape{};
    std::vector<int8_t> zero_points = weights.zero_points;
    zero_points.resize(count, 0);
    const std::string levels = AddInitializer(
        value.name + "/levels",
        Tensor::Of<int8_t>(shape, StoredLevels(weights, shape, axis)));
    const std::string scale = AddInitializer(
        value.name + "/scale", Tensor::Of<float>(scale_shape, weights.scales));
    const std::string zero_point =
        AddInitializer(value.name + "/zero_point",
                       Tensor::Of<int8_t>(scale_shape, zero_points));
    onnx::NodeProto* proto =
        AddNode(Unused(node_names_, value.name + "/dequantize"),
                "DequantizeLinear", {levels, scale, zero_point}, value.name);
    if (is_per_channel) AttributeToOnnx("axis", Attribute(*axis), proto);
  }

  // level + zero point, which fits in as many bits as the weights have.
  static std::vector<int8_t> StoredLevels(const QuantizedWeights& weights,
                                          const Shape& shape,
                                          const std::optional<int64_t>& axis) {
    std::vector<int8_t> stored = weights.levels;
    if (weights.zero_points.empty()) return stored;
    const int64_t inner =
        axis ? ElementCount(absl::MakeConstSpan(shape).subspan(*axis + 1)) : 1;
    const size_t count = weights.zero_points.size();
    for (size_t i = 0; i < stored.size(); ++i) {
      stored[i] = static_cast<int8_t>(stored[i] +
                                      weights.zero_points[i / inner % count]);
    }
    return stored;
  }

  // `in` rounded to the grid that its numbers give; returns the name.
  std::string WriteOwnRounding(const Node& node, const std::string& in) {
    const auto named = [&](const char* suffix) {
      return Unused(value_names_, absl::StrCat(node.name, "/input/", suffix));
    };
    const std::string levels = named("quantized");
    const std::string scale = named("scale");
    const std::string zero_point = named("zero_point");
    onnx::NodeProto* quantize =
        AddNode(Unused(node_names_, node.name + "/input/quantize"),
                "DynamicQuantizeLinear", {in}, levels);
    quantize->add_output(scale);
    quantize->add_output(zero_point);
    std::string out = named("dequantized");
    AddNode(Unused(node_names_, node.name + "/input/dequantize"),
            "DequantizeLinear", {levels, scale, zero_point}, out);
    return out;
  }

  // The operator itself writes to `outputs`.
  void WriteOperator(const Node& node,
                     const std::vector<std::string>& outputs) {
    std::string first = node.inputs.empty() || node.inputs[0] == kNoValue
                            ? ""
                            : read_names_[node.inputs[0]];
    if (node.precision == v1::INT8_DYNAMIC) {
      first = WriteOwnRounding(node, first);
    }
    onnx::NodeProto* proto = proto_.add_node();
    proto->set_name(node.name);
    proto->set_op_type(node.op_type);
    proto->set_domain(node.domain);
    int count = node.OperatorInputs();
    while (count > 0 && node.inputs[count - 1] == kNoValue) --count;
    for (int i = 0; i < count; ++i) {
      const ValueId id = node.inputs[i];
      proto->add_input(i == 0 ? first : id == kNoValue ? "" : read_names_[id]);
    }
    for (const std::string& output : outputs) proto->add_output(output);
    for (const auto& attribute : node.attributes) {
      AttributeToOnnx(attribute.first, attribute.second, proto);
    }
  }

  std::string AddScalar(const std::string& name, float value) {
    return AddInitializer(name,
                          Tensor::Of<float>({}, std::vector<float>{value}));
  }

  void WriteClip(const PostOp& post_op, const std::string& name,
                 const std::string& in, const std::string& out) {
    std::vector<std::string> inputs = {in};
    const bool has_high = std::isfinite(post_op.beta);
    if (std::isfinite(post_op.alpha)) {
      inputs.push_back(AddScalar(name + "/min", post_op.alpha));
    } else if (has_high) {
      inputs.push_back("");
    }
    if (has_high) inputs.push_back(AddScalar(name + "/max", post_op.beta));
    AddNode(name, "Clip", inputs, out);
  }

  void WritePostOp(const Node& node, const PostOp& post_op,
                   const std::string& in, const std::string& out) {
    const auto named = [&](const char* suffix) {
      return Unused(node_names_, absl::StrCat(node.name, "/", suffix));
    };
    switch (post_op.kind) {
      case PostOp::Kind::kAdd:
        AddNode(named("add"), "Add",
                {in, read_names_[node.inputs[post_op.input]]}, out);
        return;
      case PostOp::Kind::kRelu:
        AddNode(named("relu"), "Relu", {in}, out);
        return;
      case PostOp::Kind::kClip:
        WriteClip(post_op, named("clip"), in, out);
        return;
      case PostOp::Kind::kLeakyRelu:
        AttributeToOnnx("alpha", Attribute(post_op.alpha),
                        AddNode(named("leaky_relu"), "LeakyRelu", {in}, out));
        return;
      case PostOp::Kind::kSigmoid:
        AddNode(named("sigmoid"), "Sigmoid", {in}, out);
        return;
      case PostOp::Kind::kTanh:
        AddNode(named("tanh"), "Tanh", {in}, out);
        return;
      case PostOp::Kind::kHardSigmoid: {
        onnx::NodeProto* proto =
            AddNode(named("hard_sigmoid"), "HardSigmoid", {in}, out);
        AttributeToOnnx("alpha", Attribute(post_op.alpha), proto);
        AttributeToOnnx("beta", Attribute(post_op.beta), proto);
        return;
      }
      case PostOp::Kind::kHardSwish:
        AddNode(named("hard_swish"), "HardSwish", {in}, out);
        return;
    }
  }

  // The node, its post-ops, and the rounding of its outputs. What consumers
  // read has the value's own name.
  void WriteNode(const Node& node) {
    WriteWeights(node);
    std::vector<std::string> raw;  // What comes out before rounding.
    for (const ValueId id : node.outputs) {
      if (id == kNoValue) {
        raw.push_back("");
        continue;
      }
      const std::string& name = graph_.value(id).name;
      raw.push_back(IsRounded(id) ? Unused(value_names_, name + "/float")
                                  : name);
    }
    std::vector<std::string> outputs = raw;
    const size_t steps = node.post_ops.size();
    std::vector<std::string> chain;
    for (size_t i = 0; i < steps; ++i) {
      chain.push_back(Unused(
          value_names_,
          absl::StrCat(graph_.value(node.outputs[0]).name, "/step_", i)));
    }
    chain.push_back(raw[0]);
    outputs[0] = chain[0];
    WriteOperator(node, outputs);
    for (size_t i = 0; i < steps; ++i) {
      WritePostOp(node, node.post_ops[i], chain[i], chain[i + 1]);
    }
    for (size_t i = 0; i < raw.size(); ++i) {
      const ValueId id = node.outputs[i];
      if (IsRounded(id)) WriteRounding(id, raw[i], graph_.value(id).name);
    }
  }

  void WriteConstants() {
    for (size_t i = 0; i < graph_.values().size(); ++i) {
      const ValueId id = static_cast<ValueId>(i);
      const Value& value = graph_.value(id);
      if (!value.constant.has_value() || quantized_constants_.contains(id)) {
        continue;
      }
      if (graph_.Consumers(id).empty() && !graph_.IsOutput(id)) continue;
      onnx::TensorProto* proto = proto_.add_initializer();
      proto->set_name(value.name);
      TensorToOnnx(*value.constant, proto);
    }
  }

  absl::StatusOr<std::string> Bytes() const {
    if (model_.ByteSizeLong() > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model has ", model_.ByteSizeLong(),
                       " bytes, more than ONNX's 2^31 - 1"));
    }
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      model_.SerializeWithCachedSizes(&coded);
    }
    return bytes;
  }

  const Graph& graph_;
  const Probes& probes_;
  onnx::ModelProto model_;
  onnx::GraphProto& proto_;
  absl::flat_hash_set<std::string> value_names_;
  absl::flat_hash_set<std::string> node_names_;
  absl::flat_hash_set<ValueId> quantized_constants_;
  std::vector<std::string> read_names_;  // By value: what consumers read.
};

}  // namespace

absl::StatusOr<std::string> SerializeOnnx(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const Graph converted, ConvertToCommonOpset(graph));
  LATHE_ASSIGN_OR_RETURN(const Probes probes, Probes::Take(converted));
  return Serializer(converted, probes).Serialize();
}

}  // namespace lathe
