#include "evaluator/node_groups.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "evaluator/activations.h"

namespace lathe {
namespace {

// Whether the node has one output, which neither is rounded nor leaves the
// graph.
bool IsSeenByReadersAlone(const LoweringContext& context, const Node& node) {
  if (node.outputs.size() != 1) return false;
  const ValueId value = node.outputs[0];
  return value != kNoValue && !context.graph().IsOutput(value) &&
         !context.grid(value) && context.type(value) == DataType::kFloat32;
}

// The reader of outputs[0] of node `index`, if a kernel may compute both: there
// is one reader, and nobody sees the value between.
std::optional<int> SoleReader(const LoweringContext& context, int index) {
  const Graph& graph = context.graph();
  if (!IsSeenByReadersAlone(context, graph.nodes()[index])) return std::nullopt;
  const ValueId value = graph.nodes()[index].outputs[0];
  const auto& consumers = graph.Consumers(value);
  if (consumers.size() != 1) return std::nullopt;
  const Node& reader = graph.nodes()[consumers[0]];
  const auto reads =
      std::count(reader.inputs.begin(), reader.inputs.end(), value);
  if (reads != 1 || !reader.domain.empty()) return std::nullopt;
  return consumers[0];
}

// A node of this operator and two inputs, with nothing fused into it.
bool IsBinary(const Node& node, const char* op_type) {
  return node.op_type == op_type && node.domain.empty() &&
         node.inputs.size() == 2 && node.post_ops.empty();
}

ValueId OtherInput(const Node& node, ValueId value) {
  return node.inputs[node.inputs[0] == value ? 1 : 0];
}

// The number that a float32 constant of one element holds.
std::optional<float> Scalar(const LoweringContext& context, ValueId value) {
  const Tensor* tensor = context.constant(value);
  if (tensor == nullptr || tensor->type() != DataType::kFloat32 ||
      tensor->size() != 1) {
    return std::nullopt;
  }
  return tensor->values<float>()[0];
}

// What `node` multiplies its other input with, if that is a number.
std::optional<float> Factor(const LoweringContext& context, const Node& node,
                            ValueId value) {
  const bool is_product = IsBinary(node, "Mul");
  const bool is_quotient = IsBinary(node, "Div") && node.inputs[0] == value;
  if (!is_product && !is_quotient) return std::nullopt;
  const auto number = Scalar(context, OtherInput(node, value));
  if (!number || *number == 0) return std::nullopt;
  return is_product ? *number : 1 / *number;
}

bool IsNear(float value, double expected) {
  return std::abs(value - expected) < 1e-4 * expected;
}

class GroupFinder {
 public:
  explicit GroupFinder(const LoweringContext& context)
      : context_(context), graph_(context.graph()) {}

  // The group that starts at node `index`.
  std::optional<NodeGroup> Find(int index) const {
    const Node& node = graph_.nodes()[index];
    if (!node.domain.empty()) return std::nullopt;
    const bool is_product = node.op_type == "MatMul" &&
                            node.inputs.size() == 2 && node.post_ops.empty();
    const bool is_layer = node.op_type == "Conv" ||
                          node.op_type == "ConvTranspose" ||
                          node.op_type == "Gemm" || is_product;
    if (is_layer && context_.constant(node.inputs[1]) != nullptr) {
      return FindLayer(index);
    }
    return is_product ? FindProduct(index) : FindActivation(index);
  }

 private:
  const Shape& OutputShape(const Node& node) const {
    return context_.shape(node.outputs[0]);
  }

  // A layer, + a constant row behind a MatMul, and an activation.
  std::optional<NodeGroup> FindLayer(int index) const {
    NodeGroup group{{index}, index, graph_.nodes()[index]};
    if (group.node.op_type == "MatMul") {
      const Shape& weights = context_.shape(group.node.inputs[1]);
      if (weights.size() != 2 || OutputShape(group.node).size() < 2) {
        return std::nullopt;
      }
      AddBias(weights[1], &group);
    }
    if (group.node.precision != v1::INT8_DYNAMIC) AddActivation(&group);
    return Ended(std::move(group));
  }

  void AddBias(int64_t channels, NodeGroup* group) const {
    const auto next = SoleReader(context_, group->members.back());
    if (!next || !IsBinary(graph_.nodes()[*next], "Add")) return;
    const ValueId bias =
        OtherInput(graph_.nodes()[*next], group->node.outputs[0]);
    const Tensor* row = context_.constant(bias);
    if (row == nullptr || row->shape() != Shape{channels}) return;
    group->node.inputs.push_back(bias);
    group->members.push_back(*next);
  }

  // The activation that alone reads what the group makes so far.
  void AddActivation(NodeGroup* group) const {
    const int last = group->members.back();
    const auto next = SoleReader(context_, last);
    if (next) {
      const Node& reader = graph_.nodes()[*next];
      if (!reader.post_ops.empty() || UnaryOps(reader).empty()) return;
      FuseActivation(reader, &group->node);
      group->members.push_back(*next);
      return;
    }
    const Node& node = graph_.nodes()[last];
    if (!IsSeenByReadersAlone(context_, node)) return;
    const ValueId value = node.outputs[0];
    const std::vector<int>& readers = graph_.Consumers(value);
    if (readers.empty()) return;
    const auto activation = FindActivation(readers.front());
    if (!activation || activation->node.inputs[0] != value) return;
    const auto& members = activation->members;
    const bool reads_all =
        std::all_of(readers.begin(), readers.end(), [&](int reader) {
          return std::count(members.begin(), members.end(), reader) > 0;
        });
    if (!reads_all) return;
    FuseActivation(activation->node, &group->node);
    group->members.insert(group->members.end(), members.begin(), members.end());
  }

  // MatMul of two activations, times a number.
  std::optional<NodeGroup> FindProduct(int index) const {
    NodeGroup group{{index}, index, graph_.nodes()[index]};
    const auto next = SoleReader(context_, index);
    if (!next) return std::nullopt;
    const auto factor =
        Factor(context_, graph_.nodes()[*next], group.node.outputs[0]);
    if (!factor ||
        OutputShape(graph_.nodes()[*next]) != OutputShape(group.node)) {
      return std::nullopt;
    }
    group.node.attributes[kProductScale] = *factor;
    group.members.push_back(*next);
    return Ended(std::move(group));
  }

  // An activation of several nodes.
  std::optional<NodeGroup> FindActivation(int index) const {
    return graph_.nodes()[index].op_type == "Sigmoid" ? FindSwish(index)
                                                      : FindGelu(index);
  }

  // Sigmoid, * x.
  std::optional<NodeGroup> FindSwish(int index) const {
    const Node& sigmoid = graph_.nodes()[index];
    const auto next = SoleReader(context_, index);
    if (!next || !sigmoid.domain.empty() || !sigmoid.post_ops.empty() ||
        !IsBinary(graph_.nodes()[*next], "Mul") ||
        OtherInput(graph_.nodes()[*next], sigmoid.outputs[0]) !=
            sigmoid.inputs[0]) {
      return std::nullopt;
    }
    NodeGroup group{{index, *next}, *next, graph_.nodes()[*next]};
    group.node.op_type = "Swish";
    group.node.inputs = sigmoid.inputs;
    group.node.attributes.clear();
    return Ended(std::move(group));
  }

  // x / sqrt(2), Erf, + 1, * x, * 0.5.
  std::optional<NodeGroup> FindGelu(int index) const {
    const Node& first = graph_.nodes()[index];
    if (first.inputs.size() != 2) return std::nullopt;
    const ValueId x = first.inputs[Scalar(context_, first.inputs[0]) ? 1 : 0];
    const auto inner = Factor(context_, first, x);
    if (!inner || !IsNear(*inner, std::sqrt(0.5))) return std::nullopt;
    NodeGroup group{{index}, index, {}};
    for (const char* op_type : {"Erf", "Add", "Mul", "Mul"}) {
      const auto next = SoleReader(context_, group.members.back());
      if (!next || graph_.nodes()[*next].op_type != op_type ||
          !graph_.nodes()[*next].post_ops.empty()) {
        return std::nullopt;
      }
      group.members.push_back(*next);
    }
    const auto member = [&](int i) { return graph_.nodes()[group.members[i]]; };
    const auto one =
        Scalar(context_, OtherInput(member(2), member(1).outputs[0]));
    const auto half = Factor(context_, member(4), member(3).outputs[0]);
    if (OtherInput(member(3), member(2).outputs[0]) != x || one != 1.f ||
        half != 0.5f || OutputShape(member(4)) != context_.shape(x)) {
      return std::nullopt;
    }
    group.owner = group.members.back();
    group.node = member(4);
    group.node.op_type = "Gelu";
    group.node.inputs = {x};
    group.node.attributes.clear();
    return Ended(std::move(group));
  }

  std::optional<NodeGroup> Ended(NodeGroup group) const {
    if (group.members.size() < 2) return std::nullopt;
    group.node.outputs = graph_.nodes()[group.members.back()].outputs;
    return group;
  }

  const LoweringContext& context_;
  const Graph& graph_;
};

}  // namespace

NodeGroups::NodeGroups(const LoweringContext& context) {
  const GroupFinder finder(context);
  const int count = static_cast<int>(context.graph().nodes().size());
  for (int i = 0; i < count; ++i) {
    if (IsInside(i) || EndingAt(i) != nullptr) continue;
    if (auto group = finder.Find(i)) Add(*std::move(group));
  }
}

void NodeGroups::Add(NodeGroup group) {
  for (size_t i = 0; i < group.members.size(); ++i) {
    if (IsInside(group.members[i]) || EndingAt(group.members[i]) != nullptr) {
      return;
    }
  }
  const int end = group.members.back();
  inside_.insert(group.members.begin(), group.members.end() - 1);
  by_end_.emplace(end, std::move(group));
}

const NodeGroup* NodeGroups::EndingAt(int index) const {
  const auto found = by_end_.find(index);
  return found == by_end_.end() ? nullptr : &found->second;
}

}  // namespace lathe
