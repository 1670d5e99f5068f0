#include "compressor/canonical_levels.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/layer_weights.h"
#include "compressor/reference_ops.h"

namespace lathe {
namespace {

bool HasOtherThanZero(const Tensor& tensor) {
  const auto values = tensor.values<int8_t>();
  return std::any_of(values.begin(), values.end(),
                     [](int8_t x) { return x != 0; });
}

// A DequantizeLinear of constant levels, once they fit in int8 around 0.
std::optional<QuantizedWeights> ConstantWeights(const Draft& draft,
                                                const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!draft.IsConstant(node.inputs[i])) return std::nullopt;
  }
  const Tensor& levels = *draft.value(node.inputs[0]).constant;
  const Tensor& scale = *draft.value(node.inputs[1]).constant;
  if (!IsByte(levels.type()) || scale.type() != DataType::kFloat32 ||
      node.IntOr("block_size", 0) != 0) {
    return std::nullopt;
  }
  const Tensor* zero_point =
      HasInput(node, 2) ? &*draft.value(node.inputs[2]).constant : nullptr;
  if (zero_point != nullptr && (zero_point->type() != levels.type() ||
                                zero_point->size() != scale.size())) {
    return std::nullopt;
  }
  const int64_t rank = static_cast<int64_t>(levels.shape().size());
  int64_t axis = node.IntOr("axis", 1);
  if (axis < 0) axis += rank;
  int64_t inner = 1;
  if (scale.size() > 1) {
    if (axis < 0 || axis >= rank || levels.shape()[axis] != scale.size()) {
      return std::nullopt;
    }
    for (int64_t d = axis + 1; d < rank; ++d) inner *= levels.shape()[d];
  }
  QuantizedWeights weights;
  weights.scales.assign(scale.values<float>().begin(),
                        scale.values<float>().end());
  // -2^k fits in as many bits as 2^k - 1.
  int64_t largest = 1;
  const bool is_signed = levels.type() == DataType::kInt8;
  for (int64_t i = 0; i < levels.size(); ++i) {
    const int64_t stored = LevelAt(levels, i);
    int64_t level = stored;
    if (zero_point != nullptr) {
      level -= LevelAt(*zero_point, i / inner % scale.size());
    }
    if (level < -128 || level > 127) return std::nullopt;
    weights.levels.push_back(static_cast<int8_t>(level));
    const int64_t kept = is_signed ? stored : level;
    largest = std::max(largest, kept < 0 ? ~kept : kept);
  }
  if (is_signed && zero_point != nullptr && HasOtherThanZero(*zero_point)) {
    const auto values = zero_point->values<int8_t>();
    weights.zero_points.assign(values.begin(), values.end());
  }
  weights.bits = 2;
  while (weights.bits < 8 && largest > (1 << (weights.bits - 1)) - 1) {
    ++weights.bits;
  }
  return weights;
}

bool Reads(const Node& node, size_t input, ValueId id) {
  return HasInput(node, input) && node.inputs[input] == id;
}

// Whether scales along the axis of `dequantize` are scales by output channel of
// the layer `node`, which reads it as its weights.
bool FitsLayer(const Draft& draft, const Node& dequantize, const Node& node,
               const QuantizedWeights& weights) {
  const bool is_layer =
      node.op_type == "Conv" || node.op_type == "MatMul" ||
      (node.op_type == "Gemm" && node.FloatOr("alpha", 1) == 1 &&
       node.IntOr("transA", 0) == 0) ||
      IsRecurrentNode(node);
  const auto uses =
      std::count(node.inputs.begin(), node.inputs.end(), dequantize.outputs[0]);
  if (!is_layer || !node.domain.empty() || uses != 1 ||
      (!Reads(node, 1, dequantize.outputs[0]) &&
       !(IsRecurrentNode(node) && Reads(node, 2, dequantize.outputs[0])))) {
    return false;
  }
  const Shape& shape = draft.value(dequantize.inputs[0]).constant->shape();
  if (node.op_type == "MatMul" && shape.size() != 2) return false;
  if (IsRecurrentNode(node) && shape.size() != 3) return false;
  if (weights.scales.size() == 1) return true;
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = (dequantize.IntOr("axis", 1) + rank) % rank;
  return ScaleAxis(node, shape) == axis;
}

absl::StatusOr<Tensor> Evaluate(const Draft& draft, const Node& node) {
  std::vector<Tensor> inputs;
  for (const ValueId id : node.inputs) {
    inputs.push_back(id == kNoValue ? Tensor() : *draft.value(id).constant);
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                         EvaluateNode(node, draft.parts().opset, inputs));
  return outputs[0];
}

}  // namespace

bool IsByte(DataType type) {
  return type == DataType::kInt8 || type == DataType::kUint8;
}

bool IsOp(const Draft& draft, int index, const char* op) {
  const Node& node = draft.parts().nodes[index];
  return !draft.IsRemoved(index) && node.domain.empty() && node.op_type == op;
}

int64_t LevelAt(const Tensor& levels, int64_t i) {
  if (levels.type() == DataType::kInt8) return levels.values<int8_t>()[i];
  return levels.values<uint8_t>()[i];
}

// Takes from the budget what a constant of as many floats needs; false when it
// is too much.
bool Afford(const Draft& draft, ValueId constant, FoldBudget& budget) {
  const int64_t bytes = draft.value(constant).constant->size() *
                        static_cast<int64_t>(sizeof(float));
  if (bytes > budget.bytes) return false;
  budget.bytes -= bytes;
  return true;
}

absl::StatusOr<bool> FoldConstantQuantize(Draft& draft, FoldBudget& budget,
                                          int index) {
  const Node node = draft.node(index);
  for (const ValueId id : node.inputs) {
    if (id != kNoValue && !draft.IsConstant(id)) return false;
  }
  if (!Afford(draft, node.inputs[0], budget)) return false;
  LATHE_ASSIGN_OR_RETURN(Tensor levels, Evaluate(draft, node));
  draft.MakeConstant(node.outputs[0], std::move(levels));
  draft.Remove(index);
  return true;
}

absl::StatusOr<bool> TransposeLevels(Draft& draft, FoldBudget& budget,
                                     int index) {
  const Node node = draft.node(index);
  const std::optional<int> before = draft.Producer(node.inputs[0]);
  if (!before.has_value() || !IsOp(draft, *before, "DequantizeLinear") ||
      draft.IsOutput(node.outputs[0])) {
    return false;
  }
  const Node dequantize = draft.node(*before);
  if (!ConstantWeights(draft, dequantize).has_value()) return false;
  const Tensor& levels = *draft.value(dequantize.inputs[0]).constant;
  if (levels.shape().size() != 2 ||
      node.IntsOr("perm", {1, 0}) != std::vector<int64_t>{1, 0}) {
    return false;
  }
  if (!Afford(draft, dequantize.inputs[0], budget)) return false;
  Node transpose = node;
  transpose.inputs = {dequantize.inputs[0]};
  LATHE_ASSIGN_OR_RETURN(Tensor transposed, Evaluate(draft, transpose));
  std::vector<ValueId> inputs = dequantize.inputs;
  inputs[0] = draft.AddConstant(draft.value(node.outputs[0]).name + "/levels",
                                std::move(transposed));
  const int64_t axis = (dequantize.IntOr("axis", 1) + 2) % 2;
  draft.node(index).op_type = "DequantizeLinear";
  draft.node(index).attributes = dequantize.attributes;
  draft.node(index).attributes["axis"] = 1 - axis;
  draft.SetInputs(index, std::move(inputs));
  return true;
}

absl::StatusOr<bool> ReadWeights(Draft& draft, FoldBudget& budget, int index) {
  const Node dequantize = draft.node(index);
  const auto weights = ConstantWeights(draft, dequantize);
  if (!weights.has_value() || draft.IsOutput(dequantize.outputs[0])) {
    return false;
  }
  if (!Afford(draft, dequantize.inputs[0], budget)) return false;
  bool is_read = false;
  for (const int reader : draft.Readers(dequantize.outputs[0])) {
    Node& node = draft.node(reader);
    if (!FitsLayer(draft, dequantize, node, *weights)) continue;
    const bool is_recurrence = !Reads(node, 1, dequantize.outputs[0]);
    (is_recurrence ? node.quantized_recurrence : node.quantized_weights) =
        *weights;
    is_read = true;
  }
  if (!is_read) return false;
  LATHE_ASSIGN_OR_RETURN(Tensor real, Evaluate(draft, dequantize));
  draft.MakeConstant(dequantize.outputs[0], std::move(real));
  draft.Remove(index);
  return true;
}

}  // namespace lathe
