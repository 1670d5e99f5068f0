// Constants, identities, and what is known of a graph's values.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/canonical_passes.h"
#include "compressor/operator_def.h"
#include "compressor/reference_ops.h"

namespace lathe {
namespace {

// Two sizes that no dimension of a network is likely to equal by chance.
constexpr int64_t kProbeBatches[] = {3, 7};
// Two where comparisons and limits of small sizes (N == 1, x[:2]) show.
constexpr int64_t kSmallBatches[] = {1, 2};

// What folding may cost: a weight tensor transposed or cast, but no network run
// on constants.
constexpr int64_t kMostFoldedElements = int64_t{1} << 26;
constexpr int64_t kMostHeavyElements = int64_t{1} << 14;

// Whether all inputs are constants that are small enough.
bool HasFoldableInputs(const Draft& draft, const Node& node, int64_t most) {
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    if (!draft.IsConstant(id)) return false;
    if (draft.value(id).constant->size() > most) return false;
  }
  return true;
}

// The most multiplications that a node can take: every input element for
// every output element. An Einsum takes every combination of its letters, a
// pool looks at every position of its window.
double WorkBound(const Node& node, absl::Span<const Tensor> inputs,
                 absl::Span<const OpValue> outputs) {
  double read = 0;
  double all = 1;
  for (const Tensor& input : inputs) {
    read += static_cast<double>(input.size());
    all *= static_cast<double>(std::max<int64_t>(1, input.size()));
  }
  if (node.op_type == "Einsum") return all;
  double written = 0;
  for (const OpValue& output : outputs) {
    written += static_cast<double>(ElementCount(output.shape));
  }
  double window = 1;
  for (const int64_t size : node.IntsOr("kernel_shape", {})) {
    window *= static_cast<double>(size);
  }
  return read * written * window;
}

// Takes what the node would cost from the budget; false when it is too much.
bool Afford(const OperatorDef& def, const Node& node,
            absl::Span<const Tensor> inputs, absl::Span<const OpValue> outputs,
            FoldBudget& budget) {
  int64_t bytes = 0;
  for (const OpValue& output : outputs) {
    bytes += ElementCount(output.shape) *
             static_cast<int64_t>(ElementBytes(output.type));
  }
  const double work = def.is_heavy ? WorkBound(node, inputs, outputs) : 0;
  if (bytes > budget.bytes || work > static_cast<double>(budget.work)) {
    return false;
  }
  budget.bytes -= bytes;
  budget.work -= static_cast<int64_t>(work);
  return true;
}

// Evaluates node `index`, whose inputs are constants.
absl::StatusOr<bool> FoldNode(Draft& draft, int index, FoldBudget& budget) {
  const Node node = draft.node(index);
  const OperatorDef* def = FindOperator(node.domain, node.op_type);
  if (def == nullptr) return false;
  for (const ValueId id : node.outputs) {
    if (id != kNoValue && draft.value(id).grid.has_value()) return false;
  }
  const int64_t most = def->is_heavy ? kMostHeavyElements : kMostFoldedElements;
  if (!HasFoldableInputs(draft, node, most)) return false;
  std::vector<Tensor> inputs;
  std::vector<OpInput> op_inputs(node.OperatorInputs());
  for (const ValueId id : node.inputs) {
    inputs.push_back(id == kNoValue ? Tensor() : *draft.value(id).constant);
  }
  for (size_t i = 0; i < op_inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    op_inputs[i] = {true, {inputs[i].type(), inputs[i].shape()}, &inputs[i]};
  }
  const OpCall call(node, draft.parts().opset, std::move(op_inputs));
  LATHE_ASSIGN_OR_RETURN(const std::vector<OpValue> outputs,
                         ApplyRule(*def, call));
  for (const OpValue& output : outputs) {
    if (ElementCount(output.shape) > most) return false;
  }
  if (!Afford(*def, node, inputs, outputs, budget)) return false;
  LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> tensors,
                         EvaluateNode(node, draft.parts().opset, inputs));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    if (id != kNoValue) draft.MakeConstant(id, std::move(tensors[i]));
  }
  draft.Remove(index);
  return true;
}

// Makes constants of the outputs that follow from fixed shapes.
bool FoldShapes(Draft& draft, const Probes& probes, int index) {
  const std::vector<ValueId> outputs = draft.node(index).outputs;
  if (outputs.empty()) return false;
  for (const ValueId id : outputs) {
    if (id == kNoValue || draft.value(id).grid.has_value()) return false;
    if (!probes.Constant(id).has_value()) return false;
  }
  for (const ValueId id : outputs) draft.MakeConstant(id, *probes.Constant(id));
  draft.Remove(index);
  return true;
}

// What a Reshape makes when at most one size varies with the batch: -1 there.
std::optional<Tensor> BatchAgnosticTarget(const Draft& draft,
                                          const Probes& probes,
                                          const Node& node) {
  if (node.op_type != "Reshape" || draft.IsConstant(node.inputs[1])) {
    return std::nullopt;
  }
  const ValueId out = node.outputs[0];
  if (!probes.IsKnown(out)) return std::nullopt;
  std::vector<int64_t> target;
  for (int64_t d = 0; d < probes.Rank(out); ++d) {
    target.push_back(probes.Size(out, d).value_or(-1));
    if (target.back() == 0) return std::nullopt;
  }
  if (std::count(target.begin(), target.end(), -1) > 1) return std::nullopt;
  return Tensor::Of<int64_t>({static_cast<int64_t>(target.size())}, target);
}

bool IsIdentity(const Draft& draft, const Probes& probes, const Node& node) {
  if (!node.post_ops.empty()) return false;
  if (node.op_type == "Identity") return true;
  if (node.op_type == "Dropout") {
    return node.outputs.size() < 2 || node.outputs[1] == kNoValue ||
           (draft.UseCount(node.outputs[1]) == 0 &&
            !draft.IsOutput(node.outputs[1]));
  }
  if (node.op_type == "Cast" || node.op_type == "CastLike") {
    return probes.IsKnown(node.inputs[0]) && probes.IsKnown(node.outputs[0]) &&
           probes.Type(node.inputs[0]) == probes.Type(node.outputs[0]);
  }
  const bool takes_many = node.op_type == "Concat" || node.op_type == "Sum" ||
                          node.op_type == "Mean" || node.op_type == "Max" ||
                          node.op_type == "Min";
  return takes_many && node.inputs.size() == 1;
}

// The inputs' shapes at a batch, where their first dimension is free.
absl::StatusOr<std::vector<Shape>> ProbeShapes(const Graph& graph,
                                               int64_t batch) {
  std::vector<Shape> shapes;
  for (const ValueId id : graph.inputs()) {
    const Shape& declared = graph.value(id).shape;
    LATHE_RETURN_IF_ERROR(CheckFixedSizes(graph.value(id)));
    shapes.push_back(declared);
    if (!declared.empty() && declared[0] == kDynamic) shapes.back()[0] = batch;
  }
  return shapes;
}

// None where the network does not take such a batch.
std::optional<std::vector<ValueInfo>> TrySmall(const Graph& graph,
                                               int64_t batch) {
  const auto shapes = ProbeShapes(graph, batch);
  if (!shapes.ok()) return std::nullopt;
  auto infos = InferShapes(graph, *shapes);
  if (!infos.ok()) return std::nullopt;
  return *std::move(infos);
}

// A Squeeze without axes takes a batch of 1 away: such a network means another
// thing there.
bool HaveSameRanks(absl::Span<const ValueInfo> a,
                   absl::Span<const ValueInfo> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ValueInfo& x, const ValueInfo& y) {
                      return x.shape.size() == y.shape.size();
                    });
}

}  // namespace

absl::StatusOr<Probes> Probes::Take(const Graph& graph) {
  Probes probes;
  for (const int64_t batch : kProbeBatches) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                           ProbeShapes(graph, batch));
    LATHE_ASSIGN_OR_RETURN(std::vector<ValueInfo> infos,
                           InferShapes(graph, shapes));
    probes.infos_.push_back(std::move(infos));
  }
  for (const int64_t batch : kSmallBatches) {
    std::optional<std::vector<ValueInfo>> infos = TrySmall(graph, batch);
    if (infos && HaveSameRanks(*infos, probes.infos_[0])) {
      probes.infos_.push_back(*std::move(infos));
    }
  }
  return probes;
}

bool Probes::IsKnown(ValueId id) const {
  return id != kNoValue && id < static_cast<int>(infos_[0].size());
}

std::optional<int64_t> Probes::Size(ValueId id, int64_t axis) const {
  if (!IsKnown(id) || axis >= Rank(id)) return std::nullopt;
  const int64_t size = infos_[0][id].shape[axis];
  const bool is_fixed = std::all_of(
      infos_.begin(), infos_.end(),
      [&](const auto& infos) { return infos[id].shape[axis] == size; });
  if (!is_fixed) return std::nullopt;
  return size;
}

bool Probes::HaveSameShape(ValueId a, ValueId b) const {
  if (!IsKnown(a) || !IsKnown(b)) return false;
  return std::all_of(infos_.begin(), infos_.end(), [&](const auto& infos) {
    return infos[a].shape == infos[b].shape;
  });
}

std::vector<Tensor> Probes::Constants(ValueId id) const {
  std::vector<Tensor> constants;
  if (!IsKnown(id)) return constants;
  for (const std::vector<ValueInfo>& infos : infos_) {
    if (infos[id].constant.has_value()) {
      constants.push_back(*infos[id].constant);
    }
  }
  return constants;
}

std::optional<Tensor> Probes::Constant(ValueId id) const {
  const std::vector<Tensor> constants = Constants(id);
  if (constants.size() < infos_.size()) return std::nullopt;
  for (const Tensor& other : constants) {
    if (other.shape() != constants[0].shape() ||
        other.bytes() != constants[0].bytes()) {
      return std::nullopt;
    }
  }
  return constants[0];
}

absl::StatusOr<bool> FoldConstants(Draft& draft, const Probes& probes,
                                   FoldBudget& budget) {
  bool is_changed = false;
  const int count = draft.NodeCount();
  for (int i = 0; i < count; ++i) {
    if (draft.IsRemoved(i)) continue;
    if (FoldShapes(draft, probes, i)) {
      is_changed = true;
      continue;
    }
    LATHE_ASSIGN_OR_RETURN(const bool is_folded, FoldNode(draft, i, budget));
    is_changed |= is_folded;
    if (is_folded) continue;
    const Node& node = draft.node(i);
    std::optional<Tensor> target = BatchAgnosticTarget(draft, probes, node);
    if (!target.has_value()) continue;
    const ValueId in = node.inputs[0];
    const ValueId constant =
        draft.AddConstant(node.name + "/target", *std::move(target));
    draft.SetInputs(i, {in, constant});
    draft.node(i).attributes.erase("allowzero");
    is_changed = true;
  }
  return is_changed;
}

bool DropIdentities(Draft& draft, const Probes& probes) {
  bool is_changed = false;
  for (int i = 0; i < draft.NodeCount(); ++i) {
    if (draft.IsRemoved(i) || !IsIdentity(draft, probes, draft.node(i))) {
      continue;
    }
    is_changed |= draft.Bypass(i, draft.node(i).inputs[0]);
  }
  return is_changed;
}

}  // namespace lathe
