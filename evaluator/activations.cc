#include "evaluator/activations.h"

#include <cassert>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

using dnnl::algorithm;

// Attributes of a layer in a group: the operator that is fused into it, and
// with this prefix that operator's own attributes.
constexpr char kActivation[] = "lathe_activation";
constexpr char kActivationPrefix[] = "lathe_activation.";

PostOp Activation(PostOp::Kind kind, float alpha = 0, float beta = 0) {
  return {kind, alpha, beta, -1};
}

std::vector<FusedOp> SeluOps(const Node& node) {
  return {EltwiseOp(algorithm::eltwise_elu,
                    node.FloatOr("alpha", 1.67326319217681884765625f)),
          LinearOp(node.FloatOr("gamma", 1.05070102214813232421875f), 0)};
}

}  // namespace

FusedOp EltwiseOp(algorithm algorithm, float alpha, float beta) {
  FusedOp op;
  op.algorithm = algorithm;
  op.alpha = alpha;
  op.beta = beta;
  return op;
}

FusedOp LinearOp(float factor, float offset) {
  return EltwiseOp(algorithm::eltwise_linear, factor, offset);
}

std::vector<FusedOp> ActivationOps(const PostOp& op) {
  switch (op.kind) {
    case PostOp::Kind::kRelu:
      return {EltwiseOp(algorithm::eltwise_relu)};
    case PostOp::Kind::kLeakyRelu:
      return {EltwiseOp(algorithm::eltwise_relu, op.alpha)};
    case PostOp::Kind::kClip:
      return {EltwiseOp(algorithm::eltwise_clip, op.alpha, op.beta)};
    case PostOp::Kind::kSigmoid:
      return {EltwiseOp(algorithm::eltwise_logistic)};
    case PostOp::Kind::kTanh:
      return {EltwiseOp(algorithm::eltwise_tanh)};
    case PostOp::Kind::kHardSigmoid:
      return {LinearOp(op.alpha, op.beta),
              EltwiseOp(algorithm::eltwise_clip, 0, 1)};
    case PostOp::Kind::kHardSwish:
      return {EltwiseOp(algorithm::eltwise_hardswish)};
    case PostOp::Kind::kAdd:
      break;
  }
  assert(false);
  return {};
}

std::vector<FusedOp> UnaryOps(const Node& node) {
  using Kind = PostOp::Kind;
  const std::string& op = node.op_type;
  if (!node.domain.empty()) return {};
  if (op == "Relu") return ActivationOps(Activation(Kind::kRelu));
  if (op == "Sigmoid") return ActivationOps(Activation(Kind::kSigmoid));
  if (op == "Tanh") return ActivationOps(Activation(Kind::kTanh));
  if (op == "HardSwish") return ActivationOps(Activation(Kind::kHardSwish));
  if (op == "LeakyRelu") {
    return ActivationOps(
        Activation(Kind::kLeakyRelu, node.FloatOr("alpha", 0.01f)));
  }
  if (op == "HardSigmoid") {
    return ActivationOps(Activation(Kind::kHardSigmoid,
                                    node.FloatOr("alpha", 0.2f),
                                    node.FloatOr("beta", 0.5f)));
  }
  if (op == "Elu") {
    return {EltwiseOp(algorithm::eltwise_elu, node.FloatOr("alpha", 1))};
  }
  if (op == "Selu") return SeluOps(node);
  // oneDNN 3 wants the factor of its soft Relu.
  if (op == "Softplus") return {EltwiseOp(algorithm::eltwise_soft_relu, 1)};
  if (op == "Mish") return {EltwiseOp(algorithm::eltwise_mish)};
  if (op == "Swish") {
    return {EltwiseOp(algorithm::eltwise_swish, node.FloatOr("alpha", 1))};
  }
  if (op == "Exp") return {EltwiseOp(algorithm::eltwise_exp)};
  if (op == "Log") return {EltwiseOp(algorithm::eltwise_log)};
  if (op == "Abs") return {EltwiseOp(algorithm::eltwise_abs)};
  if (op == "Sqrt") return {EltwiseOp(algorithm::eltwise_sqrt)};
  if (op == "Neg") return {LinearOp(-1, 0)};
  if (op == "Gelu") {
    const bool is_tanh = node.StringOr("approximate", "none") == "tanh";
    return {EltwiseOp(is_tanh ? algorithm::eltwise_gelu_tanh
                              : algorithm::eltwise_gelu_erf)};
  }
  return {};
}

void FuseActivation(const Node& activation, Node* layer) {
  layer->attributes[kActivation] = activation.op_type;
  for (const auto& [name, value] : activation.attributes) {
    layer->attributes[absl::StrCat(kActivationPrefix, name)] = value;
  }
}

std::vector<FusedOp> FusedActivation(const Node& layer) {
  Node activation;
  activation.op_type = layer.StringOr(kActivation, "");
  if (activation.op_type.empty()) return {};
  for (const auto& [name, value] : layer.attributes) {
    if (!absl::StartsWith(name, kActivationPrefix)) continue;
    activation.attributes[name.substr(sizeof(kActivationPrefix) - 1)] = value;
  }
  return UnaryOps(activation);
}

Node WithoutEpilogue(const Node& layer) {
  Node bare = layer;
  bare.post_ops.clear();
  bare.attributes.erase(kActivation);
  return bare;
}

}  // namespace lathe
