// Reductions, softmax and normalisations, mostly of values that lie row-major.
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "evaluator/cumulative_sums.h"
#include "evaluator/lower_ops.h"
#include "evaluator/movement.h"
#include "evaluator/row_loops.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

// What becomes of a reduced number.
enum class Ending { kNone, kMean, kRoot, kLog };

struct ReduceRecipe {
  Reduction reduction;
  Ending ending;
};

std::optional<ReduceRecipe> RecipeOf(const std::string& op) {
  static const auto* recipes = new std::map<std::string, ReduceRecipe>{
      {"ReduceSum", {Reduction::kSum, Ending::kNone}},
      {"ReduceMean", {Reduction::kSum, Ending::kMean}},
      {"ReduceSumSquare", {Reduction::kSumOfSquares, Ending::kNone}},
      {"ReduceL1", {Reduction::kSumOfMagnitudes, Ending::kNone}},
      {"ReduceL2", {Reduction::kSumOfSquares, Ending::kRoot}},
      {"ReduceLogSum", {Reduction::kSum, Ending::kLog}},
      {"ReduceMax", {Reduction::kMost, Ending::kNone}},
      {"ReduceMin", {Reduction::kLeast, Ending::kNone}}};
  const auto found = recipes->find(op);
  if (found == recipes->end()) return std::nullopt;
  return found->second;
}

void Finish(Ending ending, int64_t count, int64_t size, float* numbers) {
  for (int64_t i = 0; i < size && ending != Ending::kNone; ++i) {
    float& x = numbers[i];
    if (ending == Ending::kMean) x /= static_cast<float>(count);
    if (ending == Ending::kRoot) x = std::sqrt(x);
    if (ending == Ending::kLog) x = std::log(x);
  }
}

// By dimension, whether it is reduced; none where nothing is, or the axes are
// not known.
std::optional<std::vector<bool>> ReducedDimensions(
    const LoweringContext& context, const Node& node) {
  const Shape& in = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(in.size());
  const auto axes = ConstantIntegers(context, node, 1, "axes", {});
  if (!axes) return std::nullopt;
  if (axes->empty() && node.IntOr("noop_with_empty_axes", 0) != 0) {
    return std::nullopt;
  }
  std::vector<bool> reduced(rank, axes->empty());
  for (int64_t axis : *axes) reduced[(axis + rank) % rank] = true;
  return reduced;
}

// The dimensions as one reduced axis between two others; none where reduced and
// kept ones take turns.
std::optional<ReducedAxis> AsOneAxis(const Shape& in,
                                     const std::vector<bool>& reduced) {
  ReducedAxis axis;
  enum { kOuter, kCount, kInner } part = kOuter;
  for (size_t d = 0; d < in.size(); ++d) {
    if (in[d] == 1) continue;
    if (reduced[d]) {
      if (part == kInner) return std::nullopt;
      part = kCount;
      axis.count *= in[d];
    } else if (part == kOuter) {
      axis.outer *= in[d];
    } else {
      part = kInner;
      axis.inner *= in[d];
    }
  }
  return axis;
}

bool IsOverPlanes(const std::vector<bool>& reduced) {
  if (reduced.size() < 3 || reduced.size() > 5) return false;
  for (size_t d = 0; d < reduced.size(); ++d) {
    if (reduced[d] != (d >= 2)) return false;
  }
  return true;
}

// float32 inputs alone, no post-ops.
bool IsPlainFloat(const LoweringContext& context, const Node& node) {
  for (ValueId value : node.inputs) {
    if (value != kNoValue && context.type(value) != DataType::kFloat32) {
      return false;
    }
  }
  return node.post_ops.empty();
}

const float* FloatsAt(absl::Span<char* const> operands, size_t index) {
  return index < operands.size()
             ? reinterpret_cast<const float*>(operands[index])
             : nullptr;
}

// Whether the value has a number for each of the last dimensions of `shape`, as
// they stand.
bool FitsEnd(const Shape& value, const Shape& shape, int64_t axis) {
  const auto tail = absl::MakeConstSpan(shape).subspan(axis);
  return value.size() >= tail.size() &&
         ElementCount(value) == ElementCount(tail) &&
         absl::MakeConstSpan(value).subspan(value.size() - tail.size()) == tail;
}

// A loop whose operands are the output of `node` and its inputs, row-major.
absl::Status AddFloatLoop(LoweringContext& context, const Node& node,
                          Loop loop) {
  const Copy destination = context.NewRawCopy(node.outputs[0]);
  std::vector<Operand> operands = {Writes(destination)};
  for (ValueId value : node.inputs) {
    if (value == kNoValue) continue;
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(value));
    operands.push_back(Reads(copy));
  }
  context.AddLoop(absl::AsciiStrToLower(node.op_type), VectorLoopIsa(),
                  std::move(operands), std::move(loop));
  context.Define(node.outputs[0], destination);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> LowerReduce(LoweringContext& context, const Node& node) {
  const ValueId input = node.inputs[0];
  const auto recipe = RecipeOf(node.op_type);
  if (!recipe || !node.post_ops.empty() ||
      context.type(input) != DataType::kFloat32) {
    return false;
  }
  const auto reduced = ReducedDimensions(context, node);
  if (!reduced) return false;
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(input));
  const bool is_pool =
      recipe->ending == Ending::kMean || recipe->reduction == Reduction::kMost;
  if (is_pool && IsOverPlanes(*reduced) && !IsRowMajor(stored.desc)) {
    return LowerGlobalPool(context, node, recipe->ending == Ending::kMean);
  }
  const auto axis = AsOneAxis(context.shape(input), *reduced);
  if (!axis) return false;
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(input));
  const Copy destination = context.NewRawCopy(node.outputs[0]);
  context.AddLoop(
      absl::AsciiStrToLower(node.op_type), VectorLoopIsa(),
      {Reads(source), Writes(destination)},
      [axis = *axis, recipe = *recipe](absl::Span<char* const> operands) {
        auto* out = reinterpret_cast<float*>(operands[1]);
        ReduceAxis(recipe.reduction, axis, FloatsAt(operands, 0), out);
        Finish(recipe.ending, axis.count, axis.outer * axis.inner, out);
        return absl::OkStatus();
      });
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerCumSum(LoweringContext& context, const Node& node) {
  const auto given = ConstantIntegers(context, node, 1, "axis", {});
  const Shape& shape = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (!given || given->size() != 1 || rank == 0 ||
      context.type(node.inputs[0]) != DataType::kFloat32) {
    return false;
  }
  const int64_t axis = ((*given)[0] + rank) % rank;
  const auto dims = absl::MakeConstSpan(shape);
  CumulativeSums sums;
  sums.outer = ElementCount(dims.subspan(0, axis));
  sums.count = shape[axis];
  sums.inner = ElementCount(dims.subspan(axis + 1));
  sums.is_exclusive = node.IntOr("exclusive", 0) != 0;
  sums.is_reverse = node.IntOr("reverse", 0) != 0;
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(node.inputs[0]));
  const Copy destination = context.NewRawCopy(node.outputs[0]);
  context.AddLoop("cumsum", VectorLoopIsa(),
                  {Reads(source), Writes(destination)},
                  [sums](absl::Span<char* const> operands) {
                    SumUp(sums, FloatsAt(operands, 0),
                          reinterpret_cast<float*>(operands[1]));
                    return absl::OkStatus();
                  });
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerRowNormalization(LoweringContext& context,
                                           const Node& node) {
  if (!IsPlainFloat(context, node)) return false;
  const Shape& shape = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = (node.IntOr("axis", -1) + rank) % rank;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    if (!FitsEnd(context.shape(node.inputs[i]), shape, axis)) return false;
  }
  RowNormalization spec;
  spec.size = ElementCount(absl::MakeConstSpan(shape).subspan(axis));
  spec.rows = ElementCount(shape) / spec.size;
  spec.subtracts_mean = node.op_type == "LayerNormalization";
  spec.epsilon = node.FloatOr("epsilon", 1e-5f);
  LATHE_RETURN_IF_ERROR(
      AddFloatLoop(context, node, [spec](absl::Span<char* const> operands) {
        NormalizeRows(spec, FloatsAt(operands, 1), FloatsAt(operands, 2),
                      FloatsAt(operands, 3),
                      reinterpret_cast<float*>(operands[0]));
        return absl::OkStatus();
      }));
  return true;
}

absl::StatusOr<bool> LowerGroupNormalization(LoweringContext& context,
                                             const Node& node) {
  if (!IsPlainFloat(context, node)) return false;
  const Shape& shape = context.shape(node.inputs[0]);
  GroupNormalization spec;
  spec.samples = shape[0];
  spec.channels = shape[1];
  spec.plane = ElementCount(absl::MakeConstSpan(shape).subspan(2));
  spec.groups = node.op_type == "InstanceNormalization"
                    ? spec.channels
                    : node.IntOr("num_groups", 1);
  spec.numbers = ElementCount(context.shape(node.inputs[1]));
  spec.epsilon = node.FloatOr("epsilon", 1e-5f);
  LATHE_RETURN_IF_ERROR(
      AddFloatLoop(context, node, [spec](absl::Span<char* const> operands) {
        NormalizeGroups(spec, FloatsAt(operands, 1), FloatsAt(operands, 2),
                        FloatsAt(operands, 3),
                        reinterpret_cast<float*>(operands[0]));
        return absl::OkStatus();
      }));
  return true;
}

absl::StatusOr<bool> LowerSoftmax(LoweringContext& context, const Node& node) {
  const Shape& shape = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (!IsPlainFloat(context, node) || rank == 0) return false;
  // Before opset 13 all dimensions from `axis` on are one.
  const bool is_flat = context.graph().parts().opset < 13;
  int64_t axis = node.IntOr("axis", is_flat ? 1 : -1);
  if (axis < 0) axis += rank;
  if (axis >= rank) return false;
  const auto dims = absl::MakeConstSpan(shape);
  ReducedAxis rows;
  rows.outer = ElementCount(dims.subspan(0, axis));
  rows.count = is_flat ? ElementCount(dims.subspan(axis)) : shape[axis];
  rows.inner = is_flat ? 1 : ElementCount(dims.subspan(axis + 1));
  if (node.op_type == "Softmax") {
    LATHE_RETURN_IF_ERROR(
        AddFloatLoop(context, node, [rows](absl::Span<char* const> operands) {
          auto* out = reinterpret_cast<float*>(operands[0]);
          if (rows.inner == 1) {
            SoftmaxRows(FloatsAt(operands, 1), rows.outer, rows.count, out);
          } else {
            SoftmaxColumns(FloatsAt(operands, 1), rows.outer, rows.count,
                           rows.inner, out);
          }
          return absl::OkStatus();
        }));
    return true;
  }
  const MemoryDesc desc =
      PlainDesc({rows.outer, rows.count, rows.inner}, DataType::kFloat32);
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel,
                         MakeSoftmax(desc, /*axis=*/1, /*is_log=*/true));
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(node.inputs[0]));
  const Copy destination = context.NewRawCopy(node.outputs[0]);
  LATHE_RETURN_IF_ERROR(
      context.AddKernel("softmax", kernel,
                        {Reads(DNNL_ARG_SRC, source, desc),
                         Writes(DNNL_ARG_DST, destination, desc)}));
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerLayerNormalization(LoweringContext& context,
                                             const Node& node) {
  const Shape& shape = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = node.IntOr("axis", -1);
  const bool is_plain = rank >= 2 && rank <= 5 &&
                        (axis == -1 || axis == rank - 1) &&
                        node.outputs.size() == 1;
  if (!IsPlainFloat(context, node)) return false;
  if (!is_plain) return LowerRowNormalization(context, node);
  // One number a column; others broadcast otherwise.
  const auto is_row = [&shape](const Tensor* tensor) {
    return tensor != nullptr && tensor->size() == shape.back() &&
           (tensor->size() == 1 || tensor->shape().back() == shape.back());
  };
  const Tensor* scale = context.constant(node.inputs[1]);
  if (!is_row(scale)) return LowerRowNormalization(context, node);
  const std::vector<float> zeros(shape.back(), 0);
  const float* shift = zeros.data();
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) {
    const Tensor* tensor = context.constant(node.inputs[2]);
    if (!is_row(tensor)) return LowerRowNormalization(context, node);
    shift = tensor->values<float>().data();
  }
  const MemoryDesc desc = PlainDesc(shape, DataType::kFloat32);
  const MemoryDesc row = PlainDesc({shape.back()}, DataType::kFloat32);
  LATHE_ASSIGN_OR_RETURN(
      const Kernel kernel,
      MakeLayerNormalization(desc, node.FloatOr("epsilon", 1e-5f)));
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(node.inputs[0]));
  const Copy destination = context.NewCopy(FloatEncoding(), desc);
  const Location scales =
      context.NewConstant(scale->bytes().data(), scale->bytes().size());
  const Location shifts =
      context.NewConstant(shift, shape.back() * sizeof(float));
  LATHE_RETURN_IF_ERROR(context.AddKernel(
      "layer_normalization", kernel,
      {Reads(DNNL_ARG_SRC, source, desc), Reads(DNNL_ARG_SCALE, scales, row),
       Reads(DNNL_ARG_SHIFT, shifts, row),
       Writes(DNNL_ARG_DST, destination, desc)}));
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerLrn(LoweringContext& context, const Node& node) {
  const Shape& shape = context.shape(node.inputs[0]);
  ResponseNormSpec spec;
  spec.size = node.IntOr("size", 1);
  if (!IsPlainFloat(context, node) || shape.size() != 4 || spec.size % 2 == 0) {
    return false;
  }
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(node.inputs[0]));
  LATHE_ASSIGN_OR_RETURN(spec.desc, WithType(stored.desc, DataType::kFloat32));
  spec.alpha = node.FloatOr("alpha", 1e-4f);
  spec.beta = node.FloatOr("beta", .75f);
  spec.bias = node.FloatOr("bias", 1);
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeResponseNormalization(spec));
  LATHE_ASSIGN_OR_RETURN(
      const Copy source,
      context.Fetch(node.inputs[0], FloatEncoding(), spec.desc));
  const Copy destination = context.NewCopy(FloatEncoding(), spec.desc);
  LATHE_RETURN_IF_ERROR(
      context.AddKernel("lrn", kernel,
                        {Reads(DNNL_ARG_SRC, source, spec.desc),
                         Writes(DNNL_ARG_DST, destination, spec.desc)}));
  context.Define(node.outputs[0], destination);
  return true;
}

}  // namespace lathe
