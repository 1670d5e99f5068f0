// QLinearConv and QLinearMatMul in the form of DequantizeLinear, Conv or
// MatMul, QuantizeLinear.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compressor/canonical_passes.h"

namespace lathe {
namespace {

// Where the inputs of both stand.
enum LinearInput {
  kLeft,
  kLeftScale,
  kLeftZeroPoint,
  kRight,
  kRightScale,
  kRightZeroPoint,
  kOutScale,
  kOutZeroPoint,
  kBias
};

bool IsConstantFloat(const Draft& draft, ValueId id) {
  return draft.IsConstant(id) &&
         draft.value(id).constant->type() == DataType::kFloat32;
}

bool IsOneNumber(const Draft& draft, ValueId id) {
  return IsConstantFloat(draft, id) && draft.value(id).constant->size() == 1;
}

// Inserts a DequantizeLinear before node `index`; returns what it makes.
ValueId Dequantized(Draft& draft, int index, int input, int64_t axis) {
  const Node& node = draft.node(index);
  Node step;
  step.name = node.name + "/dequantize";
  step.op_type = "DequantizeLinear";
  step.attributes["axis"] = axis;
  step.inputs = {node.inputs[input], node.inputs[input + 1],
                 node.inputs[input + 2]};
  const ValueId out =
      draft.AddValue(draft.value(node.inputs[input]).name + "/dequantized",
                     DataType::kFloat32);
  step.outputs = {out};
  draft.InsertBefore(index, std::move(step));
  return out;
}

// The bias as numbers; none when it depends on data.
std::optional<Tensor> RealBias(const Draft& draft, const Node& node) {
  if (!draft.IsConstant(node.inputs[kBias])) return std::nullopt;
  const Tensor& bias = *draft.value(node.inputs[kBias]).constant;
  const auto right =
      draft.value(node.inputs[kRightScale]).constant->values<float>();
  const float left =
      draft.value(node.inputs[kLeftScale]).constant->values<float>()[0];
  if (bias.type() != DataType::kInt32) return std::nullopt;
  std::vector<float> real;
  for (int64_t c = 0; c < bias.size(); ++c) {
    const float scale = right[right.size() == 1 ? 0 : c];
    real.push_back(static_cast<float>(bias.values<int32_t>()[c]) *
                   (left * scale));
  }
  return Tensor::Of<float>(bias.shape(), real);
}

bool Unfold(Draft& draft, const Probes& probes, int index) {
  const Node node = draft.node(index);
  const bool is_conv = node.op_type == "QLinearConv";
  const bool has_bias =
      node.inputs.size() > kBias && node.inputs[kBias] != kNoValue;
  if (!IsOneNumber(draft, node.inputs[kLeftScale]) ||
      !IsConstantFloat(draft, node.inputs[kRightScale]) ||
      !IsOneNumber(draft, node.inputs[kOutScale]) ||
      !probes.IsKnown(node.inputs[kRight])) {
    return false;
  }
  const std::optional<Tensor> bias =
      has_bias ? RealBias(draft, node) : std::nullopt;
  if (has_bias && !bias.has_value()) return false;
  Node real = node;
  real.op_type = is_conv ? "Conv" : "MatMul";
  real.name = node.name + "/quantize";
  const int64_t axis = is_conv ? 0 : probes.Rank(node.inputs[kRight]) - 1;
  real.inputs = {Dequantized(draft, index, kLeft, 0),
                 Dequantized(draft, index, kRight, axis)};
  if (bias.has_value()) {
    real.inputs.push_back(draft.AddConstant(node.name + ".bias", *bias));
  }
  const ValueId out = draft.AddValue(
      draft.value(node.outputs[0]).name + "/float", DataType::kFloat32);
  real.outputs = {out};
  const int inserted = draft.InsertBefore(index, std::move(real));
  // The layer keeps its name.
  std::swap(draft.node(inserted).name, draft.node(index).name);
  draft.node(index).op_type = "QuantizeLinear";
  draft.node(index).attributes.clear();
  draft.SetInputs(index,
                  {out, node.inputs[kOutScale], node.inputs[kOutZeroPoint]});
  return true;
}

}  // namespace

bool UnfoldQuantizedLayers(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  const int count = draft.NodeCount();
  for (int i = 0; i < count; ++i) {
    const Node& node = draft.node(i);
    if (!node.domain.empty() ||
        (node.op_type != "QLinearConv" && node.op_type != "QLinearMatMul")) {
      continue;
    }
    is_changed |= Unfold(draft, probes, i);
  }
  return is_changed;
}

}  // namespace lathe
