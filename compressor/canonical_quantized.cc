// QuantizeLinear and DequantizeLinear read as what they mean: grids of values
// and integer weights of layers.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "compressor/canonical_levels.h"
#include "compressor/canonical_passes.h"
#include "compressor/dynamic_grid.h"

namespace lathe {
namespace {

bool IsSameGrid(const ActivationGrid& a, const ActivationGrid& b) {
  return a.is_signed == b.is_signed && a.scale == b.scale &&
         a.zero_point == b.zero_point;
}

// The grid that a QuantizeLinear or DequantizeLinear speaks of, when it is one
// constant grid of 8 bits; `type` is that of the levels where the node has no
// zero point.
std::optional<ActivationGrid> GridOf(const Draft& draft, const Node& node,
                                     DataType type) {
  if (node.IntOr("block_size", 0) != 0 || !draft.IsConstant(node.inputs[1])) {
    return std::nullopt;
  }
  const Tensor& scale = *draft.value(node.inputs[1]).constant;
  if (scale.type() != DataType::kFloat32 || scale.size() != 1) {
    return std::nullopt;
  }
  ActivationGrid grid;
  grid.scale = scale.values<float>()[0];
  if (!std::isfinite(grid.scale) || grid.scale <= 0) return std::nullopt;
  if (HasInput(node, 2)) {
    if (!draft.IsConstant(node.inputs[2])) return std::nullopt;
    const Tensor& zero_point = *draft.value(node.inputs[2]).constant;
    type = zero_point.type();
    if (!IsByte(type) || zero_point.size() != 1) return std::nullopt;
    grid.zero_point = static_cast<int>(LevelAt(zero_point, 0));
  }
  if (!IsByte(type)) return std::nullopt;
  grid.is_signed = type == DataType::kInt8;
  return grid;
}

// The grid of a QuantizeLinear whose levels only DequantizeLinear nodes of the
// same grid read, and those nodes.
struct RoundingStep {
  ActivationGrid grid;
  std::vector<int> readers;
};

std::optional<RoundingStep> AsRounding(const Draft& draft, int quantize) {
  if (!IsOp(draft, quantize, "QuantizeLinear")) return std::nullopt;
  const Node& node = draft.parts().nodes[quantize];
  if (node.IntOr("output_dtype", 0) != 0) return std::nullopt;
  const auto grid = GridOf(draft, node, DataType::kUint8);
  if (!grid.has_value() || draft.IsOutput(node.outputs[0])) return std::nullopt;
  RoundingStep step{*grid, draft.Readers(node.outputs[0])};
  const DataType type = grid->is_signed ? DataType::kInt8 : DataType::kUint8;
  for (const int reader : step.readers) {
    if (!IsOp(draft, reader, "DequantizeLinear")) return std::nullopt;
    const auto read = GridOf(draft, draft.parts().nodes[reader], type);
    if (!read.has_value() || !IsSameGrid(*read, *grid)) return std::nullopt;
  }
  return step;
}

// -------------------------------------------------------------- activations

// Operators that only move or pick levels: what they do to levels they do to
// the numbers behind them.
bool MovesLevels(const Node& node) {
  static const auto* ops = new absl::flat_hash_set<std::string>{
      "Concat",  "Expand", "Flatten", "Gather", "Identity",  "MaxPool",  "Pad",
      "Reshape", "Slice",  "Squeeze", "Tile",   "Transpose", "Unsqueeze"};
  return node.domain.empty() && ops->contains(node.op_type) &&
         node.outputs.size() == 1;
}

// DequantizeLinear of what moves levels becomes: move what DequantizeLinear
// makes.
bool DequantizeEarlier(Draft& draft, const Probes& probes, int index) {
  const Node dequantize = draft.node(index);
  const ValueId levels = dequantize.inputs[0];
  const std::optional<int> mover = draft.Producer(levels);
  if (!mover.has_value() || !draft.IsPrivate(levels) ||
      !MovesLevels(draft.node(*mover)) ||
      !GridOf(draft, dequantize, DataType::kUint8).has_value()) {
    return false;
  }
  // A Pad without a value of its own pads with level 0, which stands for
  // another number than 0 where the grid has a zero point.
  const Node& move = draft.node(*mover);
  if (move.op_type == "Pad" && !HasInput(move, 2) &&
      GridOf(draft, dequantize, DataType::kUint8)->zero_point != 0) {
    return false;
  }
  std::vector<ValueId> inputs = move.inputs;
  for (const ValueId id : inputs) {
    if (id == kNoValue) continue;
    if (!probes.IsKnown(id)) return false;
    if (IsByte(probes.Type(id)) && draft.IsConstant(id)) return false;
  }
  for (ValueId& id : inputs) {
    if (id == kNoValue || !IsByte(probes.Type(id))) continue;
    Node step = dequantize;
    step.inputs[0] = id;
    id = draft.AddValue(draft.value(id).name + "/dequantized",
                        DataType::kFloat32);
    step.outputs = {id};
    draft.InsertBefore(*mover, std::move(step));
  }
  draft.Remove(index);
  draft.SetInputs(*mover, std::move(inputs));
  draft.SetOutputs(*mover, dequantize.outputs);
  return true;
}

// All roundings of `x`, when nothing reads it unrounded and they are equal.
std::vector<int> SoleRoundings(const Draft& draft, ValueId x,
                               const ActivationGrid& grid) {
  if (draft.IsOutput(x) || draft.value(x).grid.has_value()) return {};
  for (const int reader : draft.Readers(x)) {
    const auto step = AsRounding(draft, reader);
    if (!step.has_value() || !IsSameGrid(step->grid, grid)) return {};
  }
  return draft.Readers(x);
}

// Gives `x`, which only `roundings` read, the grid. False when that would lose
// a name of the network's outputs.
bool RoundAtSource(Draft& draft, ValueId x, const ActivationGrid& grid,
                   const std::vector<int>& roundings) {
  std::vector<int> readers;
  for (const int rounding : roundings) {
    const std::vector<int> more = AsRounding(draft, rounding)->readers;
    readers.insert(readers.end(), more.begin(), more.end());
  }
  if (readers.empty()) return false;
  const std::optional<int> producer = draft.Producer(x);
  ValueId survivor =
      producer.has_value() ? draft.node(readers[0]).outputs[0] : x;
  int outputs = 0;
  for (const int reader : readers) {
    const ValueId y = draft.node(reader).outputs[0];
    if (!draft.IsOutput(y)) continue;
    survivor = y;
    ++outputs;
  }
  if (outputs > (producer.has_value() ? 1 : 0)) return false;
  for (const int reader : readers) {
    const ValueId y = draft.node(reader).outputs[0];
    draft.Remove(reader);
    draft.ReplaceUses(y, survivor);
  }
  for (const int rounding : roundings) draft.Remove(rounding);
  if (producer.has_value()) {
    std::vector<ValueId> made = draft.node(*producer).outputs;
    std::replace(made.begin(), made.end(), x, survivor);
    draft.SetOutputs(*producer, std::move(made));
  }
  draft.SetGrid(survivor, grid);
  return true;
}

// QuantizeLinear `index` and the DequantizeLinear nodes behind it.
bool ReadGrid(Draft& draft, const Probes& probes, int index) {
  const auto step = AsRounding(draft, index);
  const ValueId x = draft.node(index).inputs[0];
  if (!step.has_value() || step->readers.empty() || draft.IsConstant(x) ||
      !probes.IsKnown(x) || probes.Type(x) != DataType::kFloat32) {
    return false;
  }
  const std::vector<int> roundings = SoleRoundings(draft, x, step->grid);
  if (!roundings.empty() && RoundAtSource(draft, x, step->grid, roundings)) {
    return true;
  }
  // Others want the number as it was.
  for (const int reader : step->readers) {
    draft.node(reader).op_type = "Identity";
    draft.node(reader).attributes.clear();
    draft.SetInputs(reader, {x});
    draft.SetGrid(draft.node(reader).outputs[0], step->grid);
  }
  draft.Remove(index);
  return true;
}

// The grid that all numbers of `id` lie on: its own, or that of what was moved
// there.
std::optional<ActivationGrid> GridBehind(const Draft& draft, ValueId id) {
  while (!draft.value(id).grid.has_value()) {
    const std::optional<int> mover = draft.Producer(id);
    if (!mover.has_value()) return std::nullopt;
    const Node& node = draft.parts().nodes[*mover];
    // Those may bring in numbers of their own.
    const bool adds = node.op_type == "Concat" || node.op_type == "Pad";
    if (!MovesLevels(node) || adds) return std::nullopt;
    id = node.inputs[0];
  }
  return draft.value(id).grid;
}

// The value that DynamicQuantizeLinear and DequantizeLinear `dequantize` round.
std::optional<ValueId> OwnRounding(const Draft& draft, int dequantize) {
  const Node& node = draft.parts().nodes[dequantize];
  if (node.inputs.size() != 3) return std::nullopt;
  const std::optional<int> quantize = draft.Producer(node.inputs[0]);
  if (!quantize || !IsOp(draft, *quantize, "DynamicQuantizeLinear")) {
    return std::nullopt;
  }
  const Node& source = draft.parts().nodes[*quantize];
  if (source.outputs != node.inputs) return std::nullopt;
  return source.inputs[0];
}

// Layers with integer weights whose input is rounded to its own grid run in
// integers.
bool ChooseInt8Dynamic(Draft& draft, int dequantize) {
  const std::optional<ValueId> x = OwnRounding(draft, dequantize);
  if (!x) return false;
  const ValueId rounded = draft.parts().nodes[dequantize].outputs[0];
  bool is_changed = false;
  const std::vector<int> readers = draft.Readers(rounded);
  for (const int reader : readers) {
    Node& node = draft.node(reader);
    const bool is_linear = node.op_type == "MatMul" || node.op_type == "Gemm";
    const bool is_flagged =
        IsRecurrentNode(node) && node.precision == v1::INT8_DYNAMIC;
    if (!node.quantized_weights.has_value() || node.inputs[0] != rounded ||
        node.precision == v1::INT8 || (!is_linear && !is_flagged)) {
      continue;
    }
    node.precision = v1::INT8_DYNAMIC;
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = *x;
    draft.SetInputs(reader, std::move(inputs));
    is_changed = true;
  }
  return is_changed;
}

// Layers with integer weights and input run in integers.
bool ChooseInt8(Draft& draft, int index) {
  Node& node = draft.node(index);
  if (!node.quantized_weights.has_value() || node.precision == v1::INT8 ||
      node.precision == v1::INT8_DYNAMIC || IsRecurrentNode(node)) {
    return false;
  }
  const auto grid = GridBehind(draft, node.inputs[0]);
  if (!grid.has_value()) return false;
  draft.SetGrid(node.inputs[0], *grid);
  node.precision = v1::INT8;
  return true;
}

}  // namespace

absl::StatusOr<bool> ReadQuantization(Draft& draft, const Probes& probes,
                                      FoldBudget& budget) {
  bool is_changed = false;
  const auto each = [&](const char* op, auto step) -> absl::Status {
    const int count = draft.NodeCount();
    for (int i = 0; i < count; ++i) {
      if (!IsOp(draft, i, op)) continue;
      LATHE_ASSIGN_OR_RETURN(const bool is_done, absl::StatusOr<bool>(step(i)));
      is_changed |= is_done;
    }
    return absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(each("QuantizeLinear", [&](int i) {
    return FoldConstantQuantize(draft, budget, i);
  }));
  LATHE_RETURN_IF_ERROR(each(
      "Transpose", [&](int i) { return TransposeLevels(draft, budget, i); }));
  LATHE_RETURN_IF_ERROR(each("DequantizeLinear", [&](int i) {
    return ReadWeights(draft, budget, i);
  }));
  LATHE_RETURN_IF_ERROR(each(
      "DequantizeLinear", [&](int i) { return ChooseInt8Dynamic(draft, i); }));
  LATHE_RETURN_IF_ERROR(each("DequantizeLinear", [&](int i) {
    return DequantizeEarlier(draft, probes, i);
  }));
  LATHE_RETURN_IF_ERROR(each(
      "QuantizeLinear", [&](int i) { return ReadGrid(draft, probes, i); }));
  for (int i = 0; i < draft.NodeCount(); ++i) {
    if (!draft.IsRemoved(i)) is_changed |= ChooseInt8(draft, i);
  }
  return is_changed;
}

}  // namespace lathe
