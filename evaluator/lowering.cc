#include "evaluator/lowering.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/lower_ops.h"
#include "evaluator/lowering_context.h"
#include "evaluator/node_groups.h"

namespace lathe {
namespace {

LowerFunction FindLowering(const Node& node) {
  static const auto* functions = new std::map<std::string, LowerFunction>{
      {"Abs", LowerUnary},
      {"Add", LowerBinary},
      {"Attention", LowerAttention},
      {"AveragePool", LowerPool},
      {"Clip", LowerUnary},
      {"Concat", LowerConcat},
      {"Conv", LowerConv},
      {"ConvTranspose", LowerConvTranspose},
      {"CumSum", LowerCumSum},
      {"DepthToSpace", LowerDepthToSpace},
      {"Div", LowerBinary},
      {"Dropout", LowerReshape},
      {"Einsum", LowerEinsum},
      {"Elu", LowerUnary},
      {"Erf", LowerUnary},
      {"Exp", LowerUnary},
      {"Expand", LowerExpand},
      {"Flatten", LowerReshape},
      {"GRU", LowerRecurrent},
      {"Gather", LowerGather},
      {"Gelu", LowerUnary},
      {"Gemm", LowerGemm},
      {"GlobalAveragePool", LowerPool},
      {"GlobalMaxPool", LowerPool},
      {"GroupNormalization", LowerGroupNormalization},
      {"HardSigmoid", LowerUnary},
      {"HardSwish", LowerUnary},
      {"Identity", LowerReshape},
      {"InstanceNormalization", LowerGroupNormalization},
      {"LRN", LowerLrn},
      {"LSTM", LowerRecurrent},
      {"LayerNormalization", LowerLayerNormalization},
      {"LeakyRelu", LowerUnary},
      {"Log", LowerUnary},
      {"LogSoftmax", LowerSoftmax},
      {"MatMul", LowerMatMul},
      {"Max", LowerBinary},
      {"MaxPool", LowerPool},
      {"Min", LowerBinary},
      {"Mish", LowerUnary},
      {"Mul", LowerBinary},
      {"Neg", LowerUnary},
      {"PRelu", LowerPRelu},
      {"Pad", LowerPad},
      {"Pow", LowerUnary},
      {"RMSNormalization", LowerRowNormalization},
      {"RNN", LowerRecurrent},
      {"Reciprocal", LowerUnary},
      {"ReduceL1", LowerReduce},
      {"ReduceL2", LowerReduce},
      {"ReduceLogSum", LowerReduce},
      {"ReduceMax", LowerReduce},
      {"ReduceMean", LowerReduce},
      {"ReduceMin", LowerReduce},
      {"ReduceSum", LowerReduce},
      {"ReduceSumSquare", LowerReduce},
      {"Relu", LowerUnary},
      {"Reshape", LowerReshape},
      {"Resize", LowerResize},
      {"Selu", LowerUnary},
      {"Sigmoid", LowerUnary},
      {"Slice", LowerSlice},
      {"Softmax", LowerSoftmax},
      {"Softplus", LowerUnary},
      {"SpaceToDepth", LowerSpaceToDepth},
      {"Split", LowerSplit},
      {"Sqrt", LowerUnary},
      {"Squeeze", LowerReshape},
      {"Sub", LowerBinary},
      {"Swish", LowerUnary},
      {"Tanh", LowerUnary},
      {"Tile", LowerTile},
      {"Transpose", LowerTranspose},
      {"Unsqueeze", LowerReshape},
      {"Where", LowerWhere},
      {"Upsample", LowerResize},
  };
  if (!node.domain.empty() && node.domain != "ai.onnx") return nullptr;
  const auto found = functions->find(node.op_type);
  return found == functions->end() ? nullptr : found->second;
}

bool IsWorthlessAtRunTime(const LoweringContext& context, const Node& node) {
  return std::all_of(
      node.outputs.begin(), node.outputs.end(), [&](ValueId value) {
        return value == kNoValue || context.constant(value) != nullptr;
      });
}

// oneDNN wants elements, in few dimensions, and kernels write outputs[0] alone;
// but for those of recurrent layers and Split.
bool IsForKernels(const LoweringContext& context, const Node& node) {
  const auto is_unfit = [&](ValueId value) {
    return value != kNoValue &&
           (ElementCount(context.shape(value)) == 0 ||
            context.shape(value).size() > kMostDescDimensions);
  };
  const bool writes_more = node.op_type == "LSTM" || node.op_type == "GRU" ||
                           node.op_type == "RNN" || node.op_type == "Split";
  return (writes_more ||
          (node.outputs.size() == 1 && node.outputs[0] != kNoValue)) &&
         std::none_of(node.inputs.begin(), node.inputs.end(), is_unfit) &&
         std::none_of(node.outputs.begin(), node.outputs.end(), is_unfit);
}

// Whether oneDNN says that it has no such primitive, or that there is none.
bool IsRefusal(const absl::Status& status) {
  return absl::IsUnimplemented(status) || absl::IsInvalidArgument(status);
}

absl::Status LowerNode(LoweringContext& context, const Node& node) {
  const LowerFunction lower = FindLowering(node);
  if (lower != nullptr && IsForKernels(context, node)) {
    const absl::StatusOr<bool> is_done = lower(context, node);
    if (is_done.ok() && *is_done) return absl::OkStatus();
    if (!is_done.ok() && !IsRefusal(is_done.status())) {
      return is_done.status();
    }
    for (ValueId output : node.outputs) {
      if (output != kNoValue) context.Undefine(output);
    }
  }
  return LowerReference(context, node);
}

// One kernel for all members if there is one, else a kernel for each.
absl::Status LowerGroup(LoweringContext& context, const NodeGroup& group) {
  const LowerFunction lower = FindLowering(group.node);
  if (lower != nullptr && IsForKernels(context, group.node)) {
    context.BeginGroup(group.members.back(), group.owner, group.node);
    const absl::StatusOr<bool> is_done = lower(context, group.node);
    if (is_done.ok() && *is_done) return absl::OkStatus();
    if (!is_done.ok() && !IsRefusal(is_done.status())) {
      return is_done.status();
    }
    context.Undefine(group.node.outputs[0]);
  }
  for (int member : group.members) {
    context.Undefer(context.node(member).outputs[0]);
  }
  for (int member : group.members) {
    context.BeginNode(member);
    LATHE_RETURN_IF_ERROR(LowerNode(context, context.node(member)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Program> LowerGraph(const Graph& graph,
                                   const std::vector<ValueInfo>& infos,
                                   const ExecutorOptions& options) {
  LoweringContext context(graph, infos, options);
  const NodeGroups groups(context);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const int index = static_cast<int>(i);
    context.BeginNode(index);
    if (IsWorthlessAtRunTime(context, node)) continue;
    if (groups.IsInside(index)) {
      context.Defer(node.outputs[0]);
      continue;
    }
    const NodeGroup* group = groups.EndingAt(index);
    LATHE_RETURN_IF_ERROR(Annotate(group != nullptr
                                       ? LowerGroup(context, *group)
                                       : LowerNode(context, node),
                                   absl::StrCat("node ", node.name)));
  }
  return context.Finish();
}

}  // namespace lathe
