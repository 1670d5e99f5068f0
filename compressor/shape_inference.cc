#include "compressor/shape_inference.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/input_shapes.h"
#include "compressor/limits.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

// Values that follow from shapes are shapes, indices and masks: small. Larger
// ones stay unknown, so that inference never costs like running.
constexpr int64_t kMostFoldedElements = 1 << 16;

using Infos = std::vector<ValueInfo>;

OpCall MakeCall(const Graph& graph, const Node& node, const Infos& infos) {
  std::vector<OpInput> inputs(node.OperatorInputs());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId id = node.inputs[i];
    if (id == kNoValue) continue;
    const ValueInfo& info = infos[id];
    inputs[i] = {true,
                 {info.type, info.shape},
                 info.constant.has_value() ? &*info.constant : nullptr};
  }
  return OpCall(node, graph.parts().opset, std::move(inputs));
}

// Whether the node's outputs follow from what is known, cheaply.
bool IsFoldable(const OperatorDef& def, const OpCall& call,
                const std::vector<OpValue>& outputs) {
  if (def.is_heavy || !call.node().post_ops.empty()) return false;
  for (const OpValue& output : outputs) {
    if (ElementCount(output.shape) > kMostFoldedElements) return false;
  }
  const std::string& op = call.node().op_type;
  if (op == "Shape" || op == "Size") return true;
  for (int i = 0; i < call.InputCount(); ++i) {
    if (call.Has(i) && !call.IsKnown(i)) return false;
  }
  return true;
}

// `budget`: bytes that may still be folded.
absl::Status InferNode(const Graph& graph, const Node& node, Infos& infos,
                       int64_t& budget) {
  const OpCall call = MakeCall(graph, node, infos);
  const OperatorDef* def = FindOperator(node.domain, node.op_type);
  if (def == nullptr) {
    return call.Unsupported("no rule for the shapes of this operator");
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<OpValue> outputs,
                         ApplyRule(*def, call));
  std::vector<Tensor> folded;
  if (budget > 0 && IsFoldable(*def, call, outputs)) {
    LATHE_ASSIGN_OR_RETURN(folded, def->kernel(call, outputs));
    for (const Tensor& tensor : folded) budget -= tensor.bytes().size();
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id == kNoValue) continue;
    infos[id].type = outputs[i].type;
    infos[id].shape = outputs[i].shape;
    if (!folded.empty() && !graph.value(id).grid.has_value()) {
      infos[id].constant = folded[i];
    }
  }
  return absl::OkStatus();
}

bool TakesBatch(const Graph& graph, int64_t batch) {
  const absl::StatusOr<std::vector<Shape>> shapes = InputShapes(graph, batch);
  return shapes.ok() && InferShapes(graph, *shapes).ok();
}

}  // namespace

absl::Status CheckFixedSizes(const Value& input) {
  if (!IsOpen(input)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "input \"", input.name, "\" of shape ", ShapeToString(input.shape),
      " has a dynamic dimension besides the batch; export the model with "
      "fixed sizes"));
}

int64_t FoldableBytes(const Graph& graph) {
  int64_t bytes = 0;
  for (const Value& value : graph.values()) {
    if (value.constant.has_value()) bytes += value.constant->bytes().size();
  }
  return kLeastFoldedBytes + kFoldedBytesPerConstantByte * bytes;
}

absl::StatusOr<std::vector<Shape>> InputShapes(const Graph& graph,
                                               int64_t batch) {
  std::vector<Shape> shapes;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    LATHE_RETURN_IF_ERROR(CheckFixedSizes(value));
    Shape shape = value.shape;
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = batch;
    if (!shape.empty() && shape[0] != batch && id == graph.inputs()[0]) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input \"", value.name, "\" of shape ", ShapeToString(value.shape),
          " has a fixed first dimension, so that a batch of ", batch,
          " does not fit; export the model with a dynamic batch, or use ",
          shape[0]));
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

absl::StatusOr<std::vector<ValueInfo>> InferShapes(
    const Graph& graph, absl::Span<const Shape> input_shapes) {
  if (input_shapes.size() != graph.inputs().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(input_shapes.size(), " input shapes for a graph with ",
                     graph.inputs().size(), " inputs"));
  }
  Infos infos(graph.values().size());
  for (size_t id = 0; id < infos.size(); ++id) {
    const Value& value = graph.values()[id];
    infos[id].type = value.type;
    if (!value.constant.has_value()) continue;
    infos[id].type = value.constant->type();
    infos[id].shape = value.constant->shape();
    infos[id].constant = value.constant;
  }
  for (size_t i = 0; i < input_shapes.size(); ++i) {
    const ValueId id = graph.inputs()[i];
    if (HasTooManyElements(input_shapes[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input \"", graph.value(id).name, "\" of shape ",
          ShapeToString(input_shapes[i]), " has more than 2^31 elements"));
    }
    infos[id].shape = input_shapes[i];
  }
  int64_t budget = FoldableBytes(graph);
  for (const Node& node : graph.nodes()) {
    LATHE_RETURN_IF_ERROR(InferNode(graph, node, infos, budget));
  }
  return infos;
}

absl::StatusOr<int64_t> SampleElements(const Graph& graph) {
  const int64_t batch = FixedBatch(graph).value_or(1);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  int64_t elements = 1;
  for (const Shape& shape : shapes) {
    elements = std::max(elements, ElementCount(shape) / batch);
  }
  return elements;
}

std::optional<int64_t> FixedBatch(const Graph& graph) {
  if (TakesBatch(graph, 2) && TakesBatch(graph, 3)) return std::nullopt;
  for (const ValueId id : graph.inputs()) {
    const Shape& shape = graph.value(id).shape;
    if (!shape.empty() && shape[0] > 0) return shape[0];
  }
  return 1;
}

}  // namespace lathe
