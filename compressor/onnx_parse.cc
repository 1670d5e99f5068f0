// Parsing goes name by name: constants and inputs first, then node outputs,
// then node inputs, so that nodes may stand in any order in the file.
#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/memory.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/limits.h"
#include "compressor/onnx.h"
#include "compressor/onnx_attribute.h"
#include "compressor/onnx_tensor.h"
#include "compressor/reference_ops.h"
#include "compressor/utf8.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

constexpr int64_t kLeastOpset = 7;
constexpr int64_t kMostOpset = 25;
constexpr int64_t kMostDimension = std::numeric_limits<int32_t>::max();

bool IsHalf(DataType type) {
  return type == DataType::kFloat16 || type == DataType::kBfloat16;
}

DataType WidenedType(DataType type) {
  return IsHalf(type) ? DataType::kFloat32 : type;
}

std::string DescribeNode(const onnx::NodeProto& node, int index) {
  return absl::StrCat("node ",
                      node.name().empty()
                          ? absl::StrCat("#", index)
                          : absl::StrCat("\"", node.name(), "\""),
                      " (", node.op_type(), ")");
}

class Parser {
 public:
  explicit Parser(const onnx::ModelProto& model)
      : model_(model), graph_(model.graph()) {}

  absl::StatusOr<Graph> Parse() {
    LATHE_RETURN_IF_ERROR(ReadOpset());
    parts_.name = graph_.name();
    ReadPrecisions();
    if (graph_.sparse_initializer_size() > 0) {
      return absl::UnimplementedError(
          "sparse initialisers are not supported; store them dense");
    }
    LATHE_RETURN_IF_ERROR(CheckNodeCount());
    LATHE_RETURN_IF_ERROR(CheckOperators());
    LATHE_RETURN_IF_ERROR(ReadInitializers());
    LATHE_RETURN_IF_ERROR(ReadInputs());
    LATHE_RETURN_IF_ERROR(ReadNodeOutputs());
    LATHE_ASSIGN_OR_RETURN(const std::vector<int> order, SortNodes());
    FindReadNames();
    LATHE_RETURN_IF_ERROR(ReadNodes(order));
    LATHE_RETURN_IF_ERROR(ReadOutputs());
    return Graph::Create(std::move(parts_));
  }

 private:
  absl::Status ReadOpset() {
    std::optional<int64_t> opset;
    for (const auto& import : model_.opset_import()) {
      if (import.domain().empty() || import.domain() == "ai.onnx") {
        opset = import.version();
      }
    }
    if (!opset.has_value()) {
      return absl::InvalidArgumentError(
          "the model names no ONNX opset; export it anew");
    }
    if (*opset < kLeastOpset || *opset > kMostOpset) {
      return absl::UnimplementedError(
          absl::StrCat("opset ", *opset, ", not in [", kLeastOpset, ", ",
                       kMostOpset, "]; convert the model to opset 17"));
    }
    parts_.opset = *opset;
    return absl::OkStatus();
  }

  // Layers that were measured in bfloat16, which QDQ cannot say; SerializeOnnx
  // wrote their names.
  void ReadPrecisions() {
    for (const auto& entry : model_.metadata_props()) {
      const bool is_bf16 = entry.key() == kBf16LayersKey;
      if (!is_bf16 && entry.key() != kDynamicLayersKey) continue;
      for (const absl::string_view name : absl::StrSplit(entry.value(), '\n')) {
        (is_bf16 ? bf16_layers_ : dynamic_layers_).insert(std::string(name));
      }
    }
  }

  absl::Status CheckNodeCount() const {
    if (graph_.node_size() <= kMostNodes) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", graph_.node_size(), " nodes, at most ",
                     kMostNodes, " are supported"));
  }

  absl::Status CheckOperators() const {
    for (int i = 0; i < graph_.node_size(); ++i) {
      const onnx::NodeProto& node = graph_.node(i);
      if (!IsUtf8(node.name()) || !IsUtf8(node.op_type())) {
        return absl::InvalidArgumentError(
            absl::StrCat("node #", i, ": its name is not UTF-8"));
      }
      if (node.op_type() == "Constant" && IsOnnxDomain(node.domain())) continue;
      const std::string domain =
          IsOnnxDomain(node.domain()) ? "" : node.domain();
      if (IsSupportedOperator(domain, node.op_type())) continue;
      const std::string op = domain.empty()
                                 ? node.op_type()
                                 : absl::StrCat(domain, ".", node.op_type());
      const std::string name =
          node.name().empty() ? absl::StrCat("#", i) : node.name();
      return absl::UnimplementedError(absl::StrCat(
          "operator ", op, " (node \"", name,
          "\") is not supported; supported operators: see docs/operators.md; "
          "export the model with a supported one, or cut it there"));
    }
    return absl::OkStatus();
  }

  static bool IsOnnxDomain(const std::string& domain) {
    return domain.empty() || domain == "ai.onnx";
  }

  // Makes a value; refuses a name that stands already.
  absl::StatusOr<ValueId> AddValue(const std::string& name,
                                   absl::string_view what) {
    if (name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": has no name"));
    }
    if (!IsUtf8(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": its name is not UTF-8"));
    }
    const ValueId id = static_cast<ValueId>(parts_.values.size());
    if (!ids_.emplace(name, id).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " \"", name, "\": another value has the same name"));
    }
    parts_.values.emplace_back();
    parts_.values.back().name = name;
    return id;
  }

  absl::Status AddConstant(const std::string& name, const Tensor& tensor,
                           absl::string_view what) {
    LATHE_ASSIGN_OR_RETURN(const ValueId id, AddValue(name, what));
    Value& value = parts_.values[id];
    value.constant = WidenHalf(tensor);
    value.type = value.constant->type();
    value.shape = value.constant->shape();
    return absl::OkStatus();
  }

  absl::Status ReadInitializers() {
    for (const onnx::TensorProto& proto : graph_.initializer()) {
      LATHE_ASSIGN_OR_RETURN(const Tensor tensor, TensorFromOnnx(proto));
      if (HasNaN(tensor)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "initialiser \"", proto.name(),
            "\" holds NaN: the file is damaged, or training diverged; give a "
            "model with finite weights"));
      }
      LATHE_RETURN_IF_ERROR(AddConstant(proto.name(), tensor, "initialiser"));
    }
    return absl::OkStatus();
  }

  // Type and shape as declared, where they are.
  absl::Status ReadType(const onnx::ValueInfoProto& proto,
                        absl::string_view what, Value& value) {
    if (!proto.type().has_tensor_type()) {
      return absl::UnimplementedError(absl::StrCat(
          what, " \"", proto.name(), "\" is not declared as a tensor"));
    }
    const auto& tensor_type = proto.type().tensor_type();
    LATHE_ASSIGN_OR_RETURN(
        const DataType type,
        DataTypeFromOnnx(tensor_type.elem_type(),
                         absl::StrCat(what, " \"", proto.name(), "\"")));
    value.type = WidenedType(type);
    value.shape.clear();
    if (tensor_type.shape().dim_size() > kMostRank) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, " \"", proto.name(), "\" has ", tensor_type.shape().dim_size(),
          " dimensions, at most ", kMostRank, " are supported"));
    }
    for (const auto& dim : tensor_type.shape().dim()) {
      const int64_t size = dim.has_dim_value() ? dim.dim_value() : kDynamic;
      if (size > kMostDimension) {
        return absl::InvalidArgumentError(
            absl::StrCat(what, " \"", proto.name(), "\": dimension ", size,
                         " is more than 2^31 - 1"));
      }
      // Old exporters write 0 or -1 for what they do not know.
      value.shape.push_back(size <= 0 ? kDynamic : size);
    }
    return absl::OkStatus();
  }

  absl::Status ReadInputs() {
    for (const onnx::ValueInfoProto& proto : graph_.input()) {
      const auto found = ids_.find(proto.name());
      if (found != ids_.end() &&
          parts_.values[found->second].constant.has_value()) {
        continue;  // An initialiser with a default that nobody overrides.
      }
      LATHE_ASSIGN_OR_RETURN(const ValueId id, AddValue(proto.name(), "input"));
      LATHE_RETURN_IF_ERROR(ReadType(proto, "input", parts_.values[id]));
      if (!proto.type().tensor_type().has_shape()) {
        return absl::InvalidArgumentError(
            absl::StrCat("input \"", proto.name(),
                         "\" declares no shape; export the model with one"));
      }
      parts_.inputs.push_back(id);
    }
    return absl::OkStatus();
  }

  absl::Status ReadConstantNode(const onnx::NodeProto& node, int index) {
    const std::string what = DescribeNode(node, index);
    if (node.output_size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": ", node.output_size(), " outputs, not 1"));
    }
    absl::StatusOr<Tensor> tensor = ConstantFromOnnx(node);
    if (!tensor.ok()) return Annotate(tensor.status(), what);
    return AddConstant(node.output(0), *tensor, what);
  }

  absl::Status ReadNodeOutputs() {
    for (int i = 0; i < graph_.node_size(); ++i) {
      const onnx::NodeProto& node = graph_.node(i);
      if (node.op_type() == "Constant" && IsOnnxDomain(node.domain())) {
        LATHE_RETURN_IF_ERROR(ReadConstantNode(node, i));
        continue;
      }
      for (const std::string& name : node.output()) {
        if (name.empty()) continue;
        LATHE_ASSIGN_OR_RETURN(
            const ValueId id,
            AddValue(name, absl::StrCat(DescribeNode(node, i), " output")));
        producer_[id] = i;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ValueId> FindInput(const onnx::NodeProto& node, int index,
                                    const std::string& name) const {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    return absl::InvalidArgumentError(absl::StrCat(
        DescribeNode(node, index), ": reads \"", name,
        "\", which is no input, no initialiser and no node's output"));
  }

  // Indices of the nodes (Constant nodes left out) in topological order; the
  // file's order where it is one already.
  absl::StatusOr<std::vector<int>> SortNodes() const {
    const int count = graph_.node_size();
    std::vector<int> waits_for(count, 0);
    std::vector<std::vector<int>> readers(count);
    std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
    int waiting = 0;
    for (int i = 0; i < count; ++i) {
      const onnx::NodeProto& node = graph_.node(i);
      if (node.op_type() == "Constant") continue;
      ++waiting;
      for (const std::string& name : node.input()) {
        if (name.empty()) continue;
        LATHE_ASSIGN_OR_RETURN(const ValueId id, FindInput(node, i, name));
        const auto producer = producer_.find(id);
        if (producer == producer_.end()) continue;
        ++waits_for[i];
        readers[producer->second].push_back(i);
      }
      if (waits_for[i] == 0) ready.push(i);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int next = ready.top();
      ready.pop();
      order.push_back(next);
      for (const int reader : readers[next]) {
        if (--waits_for[reader] == 0) ready.push(reader);
      }
    }
    if (static_cast<int>(order.size()) == waiting) return order;
    return CycleError(waits_for);
  }

  absl::Status CycleError(const std::vector<int>& waits_for) const {
    const auto stuck = std::find_if(waits_for.begin(), waits_for.end(),
                                    [](int n) { return n > 0; });
    const int index = static_cast<int>(stuck - waits_for.begin());
    return absl::InvalidArgumentError(
        absl::StrCat(DescribeNode(graph_.node(index), index),
                     ": waits for itself; the nodes form a cycle"));
  }

  std::string UniqueName(const onnx::NodeProto& node, int topological_index) {
    std::string name = node.name();
    if (name.empty()) {
      name = absl::StrCat(node.op_type(), "_", topological_index);
    }
    while (!node_names_.insert(name).second) {
      absl::StrAppend(&name, "_", topological_index);
    }
    return name;
  }

  absl::Status ReadAttributes(const onnx::NodeProto& proto, int index,
                              Node& node) const {
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      const std::string what = absl::StrCat(
          DescribeNode(proto, index), " attribute \"", attribute.name(), "\"");
      absl::StatusOr<Attribute> value = AttributeFromOnnx(attribute);
      if (!value.ok()) return Annotate(value.status(), what);
      if (!IsUtf8(attribute.name())) {
        return absl::InvalidArgumentError(absl::StrCat(
            DescribeNode(proto, index), ": an attribute's name is not UTF-8"));
      }
      if (!node.attributes.emplace(attribute.name(), *std::move(value))
               .second) {
        return absl::InvalidArgumentError(absl::StrCat(what, ": stands twice"));
      }
    }
    return WidenCast(node);
  }

  // 16-bit floats are computed in float32 here, so no Cast makes them.
  static absl::Status WidenCast(Node& node) {
    if (node.op_type != "Cast") return absl::OkStatus();
    const int64_t to = node.IntOr("to", onnx::TensorProto::UNDEFINED);
    LATHE_ASSIGN_OR_RETURN(
        const DataType type,
        DataTypeFromOnnx(to, absl::StrCat("node \"", node.name, "\" (Cast)")));
    node.attributes["to"] =
        static_cast<int64_t>(DataTypeToOnnx(WidenedType(type)));
    return absl::OkStatus();
  }

  absl::Status ReadNodes(const std::vector<int>& order) {
    for (size_t i = 0; i < order.size(); ++i) {
      const onnx::NodeProto& proto = graph_.node(order[i]);
      Node node;
      node.name = UniqueName(proto, static_cast<int>(i));
      node.op_type = proto.op_type();
      node.domain = IsOnnxDomain(proto.domain()) ? "" : proto.domain();
      if (bf16_layers_.contains(proto.name())) node.precision = v1::BF16;
      if (dynamic_layers_.contains(proto.name()) && IsRecurrentNode(node)) {
        node.precision = v1::INT8_DYNAMIC;
      }
      LATHE_RETURN_IF_ERROR(ReadAttributes(proto, order[i], node));
      for (const std::string& name : proto.input()) {
        node.inputs.push_back(name.empty() ? kNoValue : ids_.at(name));
      }
      for (const std::string& name : proto.output()) {
        node.outputs.push_back(name.empty() ? kNoValue : ids_.at(name));
      }
      while (!node.inputs.empty() && node.inputs.back() == kNoValue) {
        node.inputs.pop_back();
      }
      DropUnreadOutputs(proto, node);
      parts_.nodes.push_back(std::move(node));
    }
    return absl::OkStatus();
  }

  // The last outputs if nobody reads them: exporters name all that there are.
  void DropUnreadOutputs(const onnx::NodeProto& proto, Node& node) const {
    // How many there are says into how many parts Split splits.
    if (node.op_type == "Split") return;
    while (node.outputs.size() > 1 &&
           !read_names_.contains(
               proto.output(static_cast<int>(node.outputs.size()) - 1))) {
      node.outputs.pop_back();
    }
  }

  void FindReadNames() {
    for (const onnx::NodeProto& node : graph_.node()) {
      read_names_.insert(node.input().begin(), node.input().end());
    }
    for (const onnx::ValueInfoProto& output : graph_.output()) {
      read_names_.insert(output.name());
    }
    read_names_.erase("");
  }

  absl::Status ReadOutputs() {
    if (graph_.output_size() == 0) {
      return absl::InvalidArgumentError("the model has no outputs");
    }
    for (const onnx::ValueInfoProto& proto : graph_.output()) {
      const auto found = ids_.find(proto.name());
      if (found == ids_.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "output \"", proto.name(), "\" is produced by no node"));
      }
      Value& value = parts_.values[found->second];
      const bool is_declared_already =
          value.constant.has_value() ||
          std::find(parts_.inputs.begin(), parts_.inputs.end(),
                    found->second) != parts_.inputs.end();
      if (!is_declared_already && proto.has_type()) {
        LATHE_RETURN_IF_ERROR(ReadType(proto, "output", value));
      }
      parts_.outputs.push_back(found->second);
    }
    return absl::OkStatus();
  }

  const onnx::ModelProto& model_;
  const onnx::GraphProto& graph_;
  GraphParts parts_;
  absl::flat_hash_map<std::string, ValueId> ids_;
  absl::flat_hash_map<ValueId, int> producer_;  // Index in the file.
  absl::flat_hash_set<std::string> node_names_;
  absl::flat_hash_set<std::string> read_names_;
  absl::flat_hash_set<std::string> bf16_layers_;
  absl::flat_hash_set<std::string> dynamic_layers_;
};

absl::StatusOr<Graph> ParseBytes(absl::string_view bytes) {
  if (bytes.size() > kMostModelBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model has ", bytes.size(), " bytes, more than 2^31 - 1"));
  }
  onnx::ModelProto model;
  if (bytes.empty() ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not an ONNX model, or truncated (", bytes.size(), " bytes)"));
  }
  if (!model.has_graph()) {
    return absl::InvalidArgumentError(
        "not an ONNX model: the bytes hold no graph");
  }
  return Parser(model).Parse();
}

}  // namespace

absl::StatusOr<Graph> ParseOnnx(absl::string_view bytes) {
  return GuardMemory("reading the model", [&] { return ParseBytes(bytes); });
}

}  // namespace lathe
