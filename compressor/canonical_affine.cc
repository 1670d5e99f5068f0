// Arithmetic with constants, folded into the layers around it.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "compressor/canonical_passes.h"
#include "compressor/layer_weights.h"

namespace lathe {
namespace {

// y[c] = scale[c] * x[c] + shift[c].
struct Affine {
  ValueId x = kNoValue;
  std::vector<double> scale;
  std::vector<double> shift;
};

bool IsArithmetic(const Node& node) {
  return node.post_ops.empty() && node.inputs.size() == 2 &&
         (node.op_type == "Add" || node.op_type == "Sub" ||
          node.op_type == "Mul" || node.op_type == "Div");
}

// Node `node` as an affine map over `channels` channels, when it is one.
std::optional<Affine> AsAffine(const Draft& draft, const Node& node,
                               int64_t rank, int64_t channels) {
  if (!IsArithmetic(node)) return std::nullopt;
  const bool is_constant_first = draft.IsConstant(node.inputs[0]);
  if (is_constant_first == draft.IsConstant(node.inputs[1])) {
    return std::nullopt;
  }
  const ValueId constant = node.inputs[is_constant_first ? 0 : 1];
  const auto operand =
      ChannelValues(*draft.value(constant).constant, rank, channels);
  if (!operand.has_value()) return std::nullopt;
  Affine affine{node.inputs[is_constant_first ? 1 : 0],
                std::vector<double>(channels, 1.0),
                std::vector<double>(channels, 0.0)};
  if (node.op_type == "Div" && is_constant_first) return std::nullopt;
  for (int64_t c = 0; c < channels; ++c) {
    const double value = (*operand)[c];
    if (node.op_type == "Add") affine.shift[c] = value;
    if (node.op_type == "Mul") affine.scale[c] = value;
    if (node.op_type == "Div") affine.scale[c] = 1 / value;
    if (node.op_type == "Sub") {
      affine.scale[c] = is_constant_first ? -1 : 1;
      affine.shift[c] = is_constant_first ? value : -value;
    }
    if (!std::isfinite(affine.scale[c]) || !std::isfinite(affine.shift[c])) {
      return std::nullopt;
    }
  }
  return affine;
}

bool IsLayer(const Node& node) {
  return node.op_type == "Conv" || node.op_type == "ConvTranspose" ||
         node.op_type == "Gemm";
}

bool HasBias(const Node& node) {
  return node.inputs.size() > 2 && node.inputs[2] != kNoValue;
}

// Whether the weights (those that are no integers) and the bias of a node may
// be changed.
bool CanTakeAffine(const Draft& draft, const Node& node) {
  if (!IsLayer(node) || !node.post_ops.empty() ||
      !draft.IsConstant(node.inputs[1])) {
    return false;
  }
  if (node.op_type == "Gemm" &&
      (node.FloatOr("alpha", 1) != 1 || node.FloatOr("beta", 1) != 1)) {
    return false;
  }
  if (!HasBias(node)) return true;
  return draft.IsConstant(node.inputs[2]) &&
         draft.value(node.inputs[2]).constant->shape() ==
             Shape{OutChannels(draft, node)};
}

int64_t OutRank(const Draft& draft, const Node& layer) {
  return static_cast<int64_t>(
      draft.value(layer.inputs[1]).constant->shape().size());
}

// Folds node `index` into the layer that makes its input.
bool FoldIntoLayerBefore(Draft& draft, int index) {
  const Node node = draft.node(index);
  if (!IsArithmetic(node)) return false;
  for (const ValueId x : node.inputs) {
    const std::optional<int> host = draft.Producer(x);
    if (!host.has_value() || !draft.IsPrivate(x)) continue;
    const Node layer = draft.node(*host);
    if (!CanTakeAffine(draft, layer)) continue;
    const int64_t channels = OutChannels(draft, layer);
    const auto affine = AsAffine(draft, node, OutRank(draft, layer), channels);
    if (!affine.has_value()) continue;
    const bool keeps_weights =
        std::all_of(affine->scale.begin(), affine->scale.end(),
                    [](double scale) { return scale == 1; });
    if (layer.quantized_weights.has_value() && !keeps_weights) continue;
    const Tensor weights = *draft.value(layer.inputs[1]).constant;
    const std::vector<float> zeros(channels, 0.0f);
    const Tensor bias = HasBias(layer) ? *draft.value(layer.inputs[2]).constant
                                       : Tensor::Of<float>({channels}, zeros);
    if (!keeps_weights) {
      SetConstant(
          draft, *host, 1, ".weight",
          MapValues(weights, [&](int64_t i, double w) {
            return w * affine->scale[OutChannelOf(layer, weights.shape(), i)];
          }));
    }
    SetConstant(draft, *host, 2, ".bias",
                MapValues(bias, [&](int64_t c, double b) {
                  return b * affine->scale[c] + affine->shift[c];
                }));
    draft.Remove(index);
    draft.SetOutputs(*host, node.outputs);
    return true;
  }
  return false;
}

// The Conv with constant weights that alone reads `id`, as its input.
std::optional<int> OnlyConvReader(Draft& draft, ValueId id) {
  if (!draft.IsPrivate(id)) return std::nullopt;
  const int reader = draft.Readers(id)[0];
  const Node& node = draft.node(reader);
  if (node.op_type != "Conv" || node.inputs[0] != id ||
      node.quantized_weights.has_value() || !draft.IsConstant(node.inputs[1])) {
    return std::nullopt;
  }
  return reader;
}

// Folds a Mul or Div into the Conv that reads it: zero padding stays zero.
bool FoldIntoConvAfter(Draft& draft, const Probes& probes, int index) {
  const Node node = draft.node(index);
  if (node.op_type != "Mul" && node.op_type != "Div") return false;
  if (!IsArithmetic(node) || draft.value(node.outputs[0]).grid.has_value()) {
    return false;
  }
  const std::optional<int> reader = OnlyConvReader(draft, node.outputs[0]);
  if (!reader.has_value()) return false;
  const Node conv = draft.node(*reader);
  const Tensor weights = *draft.value(conv.inputs[1]).constant;
  const int64_t channels = weights.shape()[1] * conv.IntOr("group", 1);
  const auto affine = AsAffine(
      draft, node, static_cast<int64_t>(weights.shape().size()), channels);
  if (!affine.has_value() || !probes.IsKnown(affine->x) ||
      probes.Rank(affine->x) != static_cast<int64_t>(weights.shape().size()) ||
      probes.Size(affine->x, 1) != channels) {
    return false;
  }
  SetConstant(draft, *reader, 1, ".weight",
              MapValues(weights, [&](int64_t i, double w) {
                return w * affine->scale[InChannelOf(conv, weights.shape(), i)];
              }));
  std::vector<ValueId> inputs = draft.node(*reader).inputs;
  inputs[0] = affine->x;
  draft.Remove(index);
  draft.SetInputs(*reader, std::move(inputs));
  return true;
}

}  // namespace

bool FoldAffine(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  // In order of execution new nodes stand before the ones they came with, so
  // those are looked at first.
  std::vector<int> order(draft.NodeCount());
  for (int i = 0; i < draft.NodeCount(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&draft](int a, int b) { return draft.RunsBefore(a, b); });
  for (const int i : order) {
    if (draft.IsRemoved(i)) continue;
    is_changed |= FoldIntoLayerBefore(draft, i);
  }
  // The last of several scales meets the Conv first.
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    if (draft.IsRemoved(*i)) continue;
    is_changed |= FoldIntoConvAfter(draft, probes, *i);
  }
  return is_changed;
}

}  // namespace lathe
