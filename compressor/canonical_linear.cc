// BatchNormalization and the linear operators in their plainest form.
#include <cmath>
#include <utility>
#include <vector>

#include "compressor/canonical_passes.h"
#include "compressor/layer_weights.h"

namespace lathe {
namespace {

// [C] as [C, 1, ...], to broadcast over a value of `rank` dimensions.
Tensor ChannelTensor(const std::vector<double>& values, int64_t rank) {
  Shape shape(rank - 1, 1);
  shape[0] = static_cast<int64_t>(values.size());
  return Tensor::Of<float>(std::move(shape),
                           std::vector<float>(values.begin(), values.end()));
}

bool ExpandBatchNorm(Draft& draft, const Probes& probes, int index) {
  const Node bn = draft.node(index);
  for (int i = 1; i < 5; ++i) {
    if (!draft.IsConstant(bn.inputs[i])) return false;
  }
  if (!probes.IsKnown(bn.inputs[0]) || !bn.post_ops.empty()) return false;
  const int64_t rank = probes.Rank(bn.inputs[0]);
  const auto values = [&](int i) {
    return draft.value(bn.inputs[i]).constant->values<float>();
  };
  const double epsilon = bn.FloatOr("epsilon", 1e-5f);
  std::vector<double> scale;
  std::vector<double> shift;
  for (size_t c = 0; c < values(1).size(); ++c) {
    scale.push_back(values(1)[c] / std::sqrt(values(4)[c] + epsilon));
    shift.push_back(values(2)[c] - values(3)[c] * scale.back());
  }
  const ValueId scaled =
      draft.AddValue(bn.name + "/scaled", DataType::kFloat32);
  Node mul;
  mul.name = bn.name + "/scale";
  mul.op_type = "Mul";
  mul.inputs = {bn.inputs[0], draft.AddConstant(bn.name + "/scale",
                                                ChannelTensor(scale, rank))};
  mul.outputs = {scaled};
  draft.InsertBefore(index, std::move(mul));
  draft.SetInputs(index,
                  {scaled, draft.AddConstant(bn.name + "/shift",
                                             ChannelTensor(shift, rank))});
  draft.SetOutputs(index, {bn.outputs[0]});
  draft.node(index).op_type = "Add";
  draft.node(index).attributes.clear();
  return true;
}

bool MakeGemm(Draft& draft, const Probes& probes, int index) {
  const Node& node = draft.node(index);
  if (node.op_type != "MatMul" || !probes.IsKnown(node.inputs[0]) ||
      probes.Rank(node.inputs[0]) != 2 || !draft.IsConstant(node.inputs[1]) ||
      draft.value(node.inputs[1]).constant->shape().size() != 2) {
    return false;
  }
  draft.node(index).op_type = "Gemm";
  return true;
}

// Folds a factor of all weights, or of the bias.
bool FoldFactor(Draft& draft, int index, const std::string& attribute,
                int input, const std::string& suffix) {
  const Node& node = draft.node(index);
  const float factor = node.FloatOr(attribute, 1);
  const bool has_input = input < static_cast<int>(node.inputs.size()) &&
                         node.inputs[input] != kNoValue;
  if (node.attributes.count(attribute) == 0) return false;
  if (input == 1 && factor != 1 && node.quantized_weights.has_value()) {
    return false;
  }
  if (has_input && factor != 1) {
    if (!draft.IsConstant(node.inputs[input])) return false;
    const Tensor scaled =
        MapValues(*draft.value(node.inputs[input]).constant,
                  [factor](int64_t, double x) { return x * factor; });
    SetConstant(draft, index, input, suffix, scaled);
  }
  draft.node(index).attributes.erase(attribute);
  return true;
}

bool NormalizeGemm(Draft& draft, int index) {
  const Node& node = draft.node(index);
  if (node.op_type != "Gemm" || node.IntOr("transA", 0) != 0 ||
      !draft.IsConstant(node.inputs[1])) {
    return false;
  }
  bool is_changed = FoldFactor(draft, index, "alpha", 1, ".weight");
  is_changed |= FoldFactor(draft, index, "beta", 2, ".bias");
  if (node.inputs.size() < 3 || !draft.IsConstant(node.inputs[2])) {
    return is_changed;
  }
  const Tensor& bias = *draft.value(node.inputs[2]).constant;
  const int64_t channels = OutChannels(draft, node);
  if (bias.shape() == Shape{channels}) return is_changed;
  const auto vector = ChannelValues(bias, /*rank=*/2, channels);
  if (!vector.has_value()) return is_changed;
  SetConstant(draft, index, 2, ".bias",
              Tensor::Of<float>({channels}, std::vector<float>(vector->begin(),
                                                               vector->end())));
  return true;
}

}  // namespace

bool ExpandBatchNorms(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  const int count = draft.NodeCount();
  for (int i = 0; i < count; ++i) {
    if (draft.IsRemoved(i) || draft.node(i).op_type != "BatchNormalization") {
      continue;
    }
    is_changed |= ExpandBatchNorm(draft, probes, i);
  }
  return is_changed;
}

bool NormalizeLinear(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  for (int i = 0; i < draft.NodeCount(); ++i) {
    if (draft.IsRemoved(i)) continue;
    is_changed |= MakeGemm(draft, probes, i);
    is_changed |= NormalizeGemm(draft, i);
  }
  return is_changed;
}

}  // namespace lathe
