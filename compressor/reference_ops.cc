#include "compressor/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

// The call that `inputs` make: those of the operator itself.
OpCall MakeCall(const Node& node, int64_t opset,
                absl::Span<const Tensor> inputs) {
  std::vector<OpInput> op_inputs(node.OperatorInputs());
  for (size_t i = 0; i < op_inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    op_inputs[i] = {true, {inputs[i].type(), inputs[i].shape()}, &inputs[i]};
  }
  return OpCall(node, opset, std::move(op_inputs));
}

float ApplyElementwise(const PostOp& post_op, float x) {
  switch (post_op.kind) {
    case PostOp::Kind::kAdd:
      return x;
    case PostOp::Kind::kRelu:
      return x < 0 ? 0 : x;
    case PostOp::Kind::kClip:
      return std::min(std::max(x, post_op.alpha), post_op.beta);
    case PostOp::Kind::kLeakyRelu:
      return x < 0 ? post_op.alpha * x : x;
    case PostOp::Kind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case PostOp::Kind::kTanh:
      return std::tanh(x);
    case PostOp::Kind::kHardSigmoid:
      return std::max(0.0f, std::min(1.0f, post_op.alpha * x + post_op.beta));
    case PostOp::Kind::kHardSwish:
      return x * std::max(0.0f, std::min(1.0f, x / 6.0f + 0.5f));
  }
  return x;
}

absl::StatusOr<Tensor> ApplyPostOp(const OpCall& call, const PostOp& post_op,
                                   absl::Span<const Tensor> inputs,
                                   const Tensor& value) {
  TensorBuilder<float> out(value.type(), value.shape());
  const auto in = value.values<float>();
  if (post_op.kind != PostOp::Kind::kAdd) {
    std::transform(in.begin(), in.end(), out.data(),
                   [&](float x) { return ApplyElementwise(post_op, x); });
    return std::move(out).Build();
  }
  const Tensor& addend = inputs[post_op.input];
  LATHE_ASSIGN_OR_RETURN(const Shape common,
                         BroadcastShapes(call, value.shape(), addend.shape()));
  if (common != value.shape() || addend.type() != DataType::kFloat32) {
    return call.Invalid(absl::StrCat(
        "a post-op adds ", DataTypeName(addend.type()), " ",
        ShapeToString(addend.shape()), " to ", ShapeToString(value.shape())));
  }
  WalkStrided<1>(value.shape(),
                 {BroadcastStrides(addend.shape(), value.shape())},
                 [&](int64_t i, const std::array<int64_t, 1>& at) {
                   out.data()[i] = in[i] + addend.values<float>()[at[0]];
                 });
  return std::move(out).Build();
}

Tensor RoundToGrid(const ActivationGrid& grid, const Tensor& tensor) {
  TensorBuilder<float> out(tensor.type(), tensor.shape());
  const auto in = tensor.values<float>();
  std::transform(in.begin(), in.end(), out.data(),
                 [&](float x) { return ApplyGrid(grid, x); });
  return std::move(out).Build();
}

// The values of a graph while it runs.
class Evaluation {
 public:
  explicit Evaluation(const Graph& graph)
      : graph_(graph), tensors_(graph.values().size()) {}

  void Set(ValueId id, Tensor tensor) {
    const Value& value = graph_.value(id);
    const bool is_rounded =
        value.grid.has_value() && tensor.type() == DataType::kFloat32;
    tensors_[id] =
        is_rounded ? RoundToGrid(*value.grid, tensor) : std::move(tensor);
  }

  const Tensor& Get(ValueId id) const {
    const Value& value = graph_.value(id);
    return value.constant.has_value() ? *value.constant : *tensors_[id];
  }

  absl::Status Run(int index) {
    const Node& node = graph_.nodes()[index];
    std::vector<Tensor> inputs;
    for (const ValueId id : node.inputs) {
      inputs.push_back(id == kNoValue ? Tensor() : Get(id));
    }
    LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> outputs,
                           EvaluateNode(node, graph_.parts().opset, inputs));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      Set(node.outputs[i], std::move(outputs[i]));
    }
    DropReadValues(index);
    return absl::OkStatus();
  }

 private:
  // Frees what no later node reads.
  void DropReadValues(int index) {
    for (const ValueId id : graph_.nodes()[index].inputs) {
      if (id == kNoValue || graph_.IsOutput(id)) continue;
      if (graph_.Consumers(id).back() <= index) tensors_[id].reset();
    }
  }

  const Graph& graph_;
  std::vector<std::optional<Tensor>> tensors_;
};

// Whether nothing is to be computed. Kernels need not care, nor walk the
// dimensions that are not empty.
bool IsEmpty(absl::Span<const OpValue> outputs) {
  return std::all_of(outputs.begin(), outputs.end(), [](const OpValue& value) {
    return ElementCount(value.shape) == 0;
  });
}

absl::StatusOr<std::vector<Tensor>> EvaluateOperator(
    const Node& node, int64_t opset, absl::Span<const Tensor> inputs) {
  const OpCall call = MakeCall(node, opset, inputs);
  const OperatorDef* def = FindOperator(node.domain, node.op_type);
  if (def == nullptr) {
    return call.Unsupported("the operator is not supported");
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<OpValue> values,
                         ApplyRule(*def, call));
  std::vector<Tensor> outputs;
  if (IsEmpty(values)) {
    for (const OpValue& value : values) {
      outputs.emplace_back(value.type, value.shape, std::string());
    }
  } else {
    LATHE_ASSIGN_OR_RETURN(outputs, def->kernel(call, values));
  }
  if (outputs.size() > node.outputs.size()) outputs.resize(node.outputs.size());
  for (const PostOp& post_op : node.post_ops) {
    if (outputs[0].type() != DataType::kFloat32) {
      return call.Unsupported("post-ops on a value that is not float32");
    }
    LATHE_ASSIGN_OR_RETURN(outputs[0],
                           ApplyPostOp(call, post_op, inputs, outputs[0]));
  }
  return outputs;
}

absl::Status CheckGraphInput(const Value& value, const Tensor& tensor) {
  const Shape& declared = value.shape;
  bool fits =
      tensor.type() == value.type && tensor.shape().size() == declared.size();
  for (size_t d = 0; fits && d < declared.size(); ++d) {
    fits = declared[d] == kDynamic || declared[d] == tensor.shape()[d];
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "input \"", value.name, "\" is ", DataTypeName(value.type), " ",
      ShapeToString(declared), ", not ", DataTypeName(tensor.type()), " ",
      ShapeToString(tensor.shape())));
}

}  // namespace

std::vector<std::string> SupportedOperators() { return OperatorNames(); }

bool IsSupportedOperator(absl::string_view domain, absl::string_view op_type) {
  return FindOperator(domain, op_type) != nullptr;
}

absl::StatusOr<std::vector<Tensor>> EvaluateNode(
    const Node& node, int64_t opset, absl::Span<const Tensor> inputs) {
  if (node.precision == v1::INT8_DYNAMIC && !inputs.empty() &&
      inputs[0].type() == DataType::kFloat32) {
    std::vector<Tensor> rounded(inputs.begin(), inputs.end());
    rounded[0] = RoundToOwnGrid(inputs[0]);
    return EvaluateOperator(node, opset, rounded);
  }
  return EvaluateOperator(node, opset, inputs);
}

absl::StatusOr<std::vector<Tensor>> EvaluateGraph(
    const Graph& graph, absl::Span<const Tensor> inputs) {
  if (inputs.size() != graph.inputs().size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        inputs.size(), " inputs for a graph with ", graph.inputs().size()));
  }
  Evaluation evaluation(graph);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId id = graph.inputs()[i];
    LATHE_RETURN_IF_ERROR(CheckGraphInput(graph.value(id), inputs[i]));
    evaluation.Set(id, inputs[i]);
  }
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    LATHE_RETURN_IF_ERROR(evaluation.Run(static_cast<int>(i)));
  }
  std::vector<Tensor> outputs;
  for (const ValueId id : graph.outputs())
    outputs.push_back(evaluation.Get(id));
  return outputs;
}

float ApplyGrid(const ActivationGrid& grid, float value) {
  const float least = grid.is_signed ? -128.0f : 0.0f;
  const float most = grid.is_signed ? 127.0f : 255.0f;
  const float zero_point = static_cast<float>(grid.zero_point);
  float level = std::nearbyint(value / grid.scale) + zero_point;
  // NaN becomes the zero point, as in QuantizeLinear here.
  if (std::isnan(level)) level = zero_point;
  level = std::min(std::max(level, least), most);
  return grid.scale * (level - zero_point);
}

}  // namespace lathe
