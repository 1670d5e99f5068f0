// Post-ops: residual additions and activations go into the node before them.
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "compressor/canonical_passes.h"

namespace lathe {
namespace {

bool IsLayer(const Node& node) {
  return node.op_type == "Conv" || node.op_type == "Gemm";
}

bool IsFloat32(const Probes& probes, ValueId id) {
  return probes.IsKnown(id) && probes.Type(id) == DataType::kFloat32;
}

// A Conv or Gemm with post-ops has a bias slot, if an empty one.
void ReserveBias(Draft& draft, int host) {
  std::vector<ValueId> inputs = draft.node(host).inputs;
  if (!IsLayer(draft.node(host)) || inputs.size() >= 3) return;
  inputs.resize(3, kNoValue);
  draft.SetInputs(host, std::move(inputs));
}

// The node that makes `id`, when only one node reads it.
std::optional<int> PrivateProducer(const Draft& draft, ValueId id) {
  if (!draft.IsPrivate(id)) return std::nullopt;
  return draft.Producer(id);
}

// `host` takes over the outputs of node `index`, which is removed.
void Absorb(Draft& draft, int host, int index) {
  std::vector<ValueId> outputs = draft.node(index).outputs;
  draft.Remove(index);
  draft.SetOutputs(host, std::move(outputs));
}

// --------------------------------------------------------------- activations

// A constant's only float; `fallback` when the input is left out; none when it
// is not constant.
std::optional<float> ScalarInput(const Draft& draft, const Node& node,
                                 size_t input, float fallback) {
  if (input >= node.inputs.size() || node.inputs[input] == kNoValue) {
    return fallback;
  }
  if (!draft.IsConstant(node.inputs[input])) return std::nullopt;
  const Tensor& tensor = *draft.value(node.inputs[input]).constant;
  if (tensor.type() != DataType::kFloat32 || tensor.size() != 1) {
    return std::nullopt;
  }
  return tensor.values<float>()[0];
}

std::optional<PostOp> ClipPostOp(const Draft& draft, const Node& node) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto low = ScalarInput(draft, node, 1, -kInfinity);
  const auto high = ScalarInput(draft, node, 2, kInfinity);
  if (!low.has_value() || !high.has_value()) return std::nullopt;
  PostOp post_op{PostOp::Kind::kClip, *low, *high};
  return post_op;
}

// The post-op that does what `node` does; none when there is none.
std::optional<PostOp> AsPostOp(const Draft& draft, const Node& node) {
  if (!node.post_ops.empty() || !node.domain.empty()) return std::nullopt;
  const std::string& op = node.op_type;
  if (op == "Relu") return PostOp{PostOp::Kind::kRelu};
  if (op == "Sigmoid") return PostOp{PostOp::Kind::kSigmoid};
  if (op == "Tanh") return PostOp{PostOp::Kind::kTanh};
  if (op == "HardSwish") return PostOp{PostOp::Kind::kHardSwish};
  if (op == "Clip") return ClipPostOp(draft, node);
  if (op == "LeakyRelu") {
    return PostOp{PostOp::Kind::kLeakyRelu, node.FloatOr("alpha", 0.01f)};
  }
  if (op == "HardSigmoid") {
    return PostOp{PostOp::Kind::kHardSigmoid, node.FloatOr("alpha", 0.2f),
                  node.FloatOr("beta", 0.5f)};
  }
  if (op == "PRelu" && draft.IsConstant(node.inputs[1])) {
    const auto slope = ScalarInput(draft, node, 1, 0);
    if (slope.has_value()) return PostOp{PostOp::Kind::kLeakyRelu, *slope};
  }
  return std::nullopt;
}

bool FuseActivation(Draft& draft, const Probes& probes, int index) {
  const std::optional<PostOp> post_op = AsPostOp(draft, draft.node(index));
  if (!post_op.has_value()) return false;
  const ValueId x = draft.node(index).inputs[0];
  if (!IsFloat32(probes, x)) return false;
  const std::optional<int> host = PrivateProducer(draft, x);
  if (!host.has_value()) return false;
  if (!IsLayer(draft.node(*host)) && draft.node(*host).op_type != "Add") {
    return false;
  }
  ReserveBias(draft, *host);
  draft.node(*host).post_ops.push_back(*post_op);
  Absorb(draft, *host, index);
  return true;
}

// x * HardSigmoid(x; 1/6, 1/2) is HardSwish(x).
bool MakeHardSwish(Draft& draft, int index) {
  const Node mul = draft.node(index);
  if (mul.op_type != "Mul" || !mul.post_ops.empty()) return false;
  for (const int gate_input : {0, 1}) {
    const ValueId x = mul.inputs[1 - gate_input];
    const auto gate = PrivateProducer(draft, mul.inputs[gate_input]);
    if (!gate.has_value()) continue;
    const Node& node = draft.node(*gate);
    if (node.op_type != "HardSigmoid" || node.inputs[0] != x ||
        std::abs(node.FloatOr("alpha", 0.2f) - 1.0f / 6) > 1e-6f ||
        node.FloatOr("beta", 0.5f) != 0.5f) {
      continue;
    }
    draft.Remove(*gate);
    draft.node(index).op_type = "HardSwish";
    draft.SetInputs(index, {x});
    return true;
  }
  return false;
}

// ----------------------------------------------------------------- residuals

// The node that runs later of those that make `a` and `b`.
std::optional<int> LaterProducer(const Draft& draft, ValueId a, ValueId b) {
  const std::optional<int> left = draft.Producer(a);
  const std::optional<int> right = draft.Producer(b);
  if (!left.has_value()) return right;
  if (!right.has_value()) return left;
  return draft.RunsBefore(*left, *right) ? right : left;
}

bool FuseResidual(Draft& draft, const Probes& probes, int index) {
  const Node add = draft.node(index);
  const ValueId a = add.inputs[0];
  const ValueId b = add.inputs[1];
  if (a == b || draft.IsConstant(a) || draft.IsConstant(b) ||
      !IsFloat32(probes, a) || !probes.HaveSameShape(a, b)) {
    return false;
  }
  const std::optional<int> host = LaterProducer(draft, a, b);
  if (!host.has_value() || !IsLayer(draft.node(*host))) return false;
  const ValueId hosted = draft.node(*host).outputs[0];
  if (!draft.IsPrivate(hosted)) return false;
  ReserveBias(draft, *host);
  std::vector<ValueId> inputs = draft.node(*host).inputs;
  PostOp post_op{PostOp::Kind::kAdd};
  post_op.input = static_cast<int>(inputs.size());
  inputs.push_back(hosted == a ? b : a);
  draft.SetInputs(*host, std::move(inputs));
  std::vector<PostOp>& post_ops = draft.node(*host).post_ops;
  post_ops.push_back(post_op);
  post_ops.insert(post_ops.end(), add.post_ops.begin(), add.post_ops.end());
  Absorb(draft, *host, index);
  return true;
}

}  // namespace

bool FuseResiduals(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  for (int i = 0; i < draft.NodeCount(); ++i) {
    if (draft.IsRemoved(i) || draft.node(i).op_type != "Add") continue;
    is_changed |= FuseResidual(draft, probes, i);
  }
  return is_changed;
}

bool FuseActivations(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  for (int i = 0; i < draft.NodeCount(); ++i) {
    if (draft.IsRemoved(i)) continue;
    is_changed |= MakeHardSwish(draft, i);
    is_changed |= FuseActivation(draft, probes, i);
  }
  return is_changed;
}

}  // namespace lathe
