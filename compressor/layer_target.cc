#include "compressor/layer_target.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "compressor/graph_edit.h"

namespace lathe {
namespace {

// How many post-ops from the first on are additions.
int LeadingAdditions(const Node& node) {
  int count = 0;
  while (count < static_cast<int>(node.post_ops.size()) &&
         node.post_ops[count].kind == PostOp::Kind::kAdd) {
    ++count;
  }
  return count;
}

// `node` in F32 with its first `count` post-ops only.
Node WithPostOps(const Node& node, int count) {
  Node cut = node;
  cut.precision = v1::F32;
  int inputs = node.OperatorInputs();
  cut.post_ops.resize(count);
  for (const PostOp& op : cut.post_ops) inputs = std::max(inputs, op.input + 1);
  cut.inputs.resize(inputs);
  return cut;
}

Tensor Minus(const Tensor& a, const Tensor& b) {
  std::vector<float> difference(a.values<float>().begin(),
                                a.values<float>().end());
  const absl::Span<const float> other = b.values<float>();
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= other[i];
  return Tensor::Of<float>(a.shape(), difference);
}

}  // namespace

absl::StatusOr<Tensor> LayerTarget(const OriginalRun& run, int channel_axis,
                                   absl::Span<const int64_t> kept,
                                   const LiveTensors& compressed,
                                   ActivationSource& source) {
  const Node& node = run.original.nodes()[run.node];
  Shape kept_shape = run.output.shape();
  kept_shape[channel_axis] = static_cast<int64_t>(kept.size());
  int additions = LeadingAdditions(node);
  for (int i = 0; i < additions; ++i) {
    const ValueId id = node.inputs[node.post_ops[i].input];
    // A constant is in both sums; a broadcast value is left to itself.
    const bool is_alike =
        !run.original.IsConstant(id) && compressed.at(id).shape() == kept_shape;
    if (!is_alike) additions = i;
  }
  Tensor target = run.output;
  if (additions < static_cast<int>(node.post_ops.size())) {
    const Node cut = WithPostOps(node, additions);
    LATHE_ASSIGN_OR_RETURN(
        std::vector<Tensor> outputs,
        source.Run(
            cut,
            absl::MakeConstSpan(run.inputs).subspan(0, cut.inputs.size())));
    target = std::move(outputs[0]);
  }
  if (static_cast<int64_t>(kept.size()) != target.shape()[channel_axis]) {
    target = TakeAlongAxis(target, channel_axis, kept);
  }
  for (int i = 0; i < additions; ++i) {
    target = Minus(target, compressed.at(node.inputs[node.post_ops[i].input]));
  }
  return target;
}

}  // namespace lathe
