// Operators that pick elements by index tensors, and those that fold space into
// channels and back.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::StatusOr<int64_t> AxisOf(const OpCall& call) {
  return NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0));
}

absl::StatusOr<Values> GatherRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckIndexType(call));
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(call));
  const Shape& in = call.ShapeOf(0);
  OpValue out{call.TypeOf(0), Shape(in.begin(), in.begin() + axis)};
  out.shape.insert(out.shape.end(), call.ShapeOf(1).begin(),
                   call.ShapeOf(1).end());
  out.shape.insert(out.shape.end(), in.begin() + axis + 1, in.end());
  return Values{out};
}

absl::StatusOr<Tensors> GatherKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(call));
  const Shape& in = call.ShapeOf(0);
  LATHE_ASSIGN_OR_RETURN(const auto indices, ResolveIndices(call, in[axis]));
  const int64_t outer = CountRange(in, 0, axis);
  const size_t piece =
      CountRange(in, axis + 1, in.size()) * ElementBytes(outputs[0].type);
  std::string bytes;
  bytes.reserve(outer * indices.size() * piece);
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      bytes.append(call.TensorOf(0).bytes(), (o * in[axis] + index) * piece,
                   piece);
    }
  }
  return Only(Tensor(outputs[0].type, outputs[0].shape, std::move(bytes)));
}

absl::StatusOr<Values> GatherElementsRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckIndexType(call));
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(call));
  LATHE_RETURN_IF_ERROR(CheckElementIndices(call, axis));
  return Values{{call.TypeOf(0), call.ShapeOf(1)}};
}

absl::StatusOr<Tensors> GatherElementsKernel(const OpCall& call,
                                             const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, AxisOf(call));
  LATHE_ASSIGN_OR_RETURN(const auto indices,
                         ResolveIndices(call, call.ShapeOf(0)[axis]));
  std::vector<int64_t> strides = Strides(call.ShapeOf(0));
  const int64_t axis_stride = strides[axis];
  strides[axis] = 0;
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const T* in = Elements<T>(call.TensorOf(0));
    WalkStrided<1>(outputs[0].shape, {strides},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     out.data()[i] = in[at[0] + indices[i] * axis_stride];
                   });
    return Only(std::move(out).Build());
  });
}

absl::StatusOr<int64_t> BlockOf(const OpCall& call) {
  const int64_t block = call.node().IntOr("blocksize", 0);
  if (call.Rank(0) != 4 || block < 1 || block > 1 << 15) {
    return call.Invalid(absl::StrCat("blocksize = ", block, " on ",
                                     ShapeToString(call.ShapeOf(0))));
  }
  return block;
}

absl::StatusOr<Values> SpaceToDepthRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const int64_t block, BlockOf(call));
  const Shape& in = call.ShapeOf(0);
  if (in[2] % block != 0 || in[3] % block != 0) {
    return call.Invalid(absl::StrCat("blocksize ", block, " does not divide ",
                                     ShapeToString(in)));
  }
  return Values{{call.TypeOf(0),
                 {in[0], in[1] * block * block, in[2] / block, in[3] / block}}};
}

absl::StatusOr<Tensors> SpaceToDepthKernel(const OpCall& call,
                                           const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t b, BlockOf(call));
  const std::vector<int64_t> s = Strides(call.ShapeOf(0));
  const Shape& in = call.ShapeOf(0);
  return Only(StridedCopy(
      call.TensorOf(0), 0, {in[0], b, b, in[1], in[2] / b, in[3] / b},
      {s[0], s[2], s[3], s[1], s[2] * b, s[3] * b}, outputs[0]));
}

absl::StatusOr<Values> DepthToSpaceRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const int64_t block, BlockOf(call));
  const Shape& in = call.ShapeOf(0);
  if (in[1] % (block * block) != 0) {
    return call.Invalid(
        absl::StrCat("blocksize ", block, " does not fit ", ShapeToString(in)));
  }
  return Values{
      {call.TypeOf(0),
       {in[0], in[1] / (block * block), in[2] * block, in[3] * block}}};
}

absl::StatusOr<Tensors> DepthToSpaceKernel(const OpCall& call,
                                           const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t b, BlockOf(call));
  const std::vector<int64_t> s = Strides(call.ShapeOf(0));
  const Shape& in = call.ShapeOf(0);
  const int64_t channels = in[1] / (b * b);
  const bool is_crd = call.node().StringOr("mode", "DCR") == "CRD";
  // The channel axis is (block row, block column, channel), or with CRD
  // (channel, block row, block column).
  const int64_t row = is_crd ? b * s[1] : b * channels * s[1];
  const int64_t column = is_crd ? s[1] : channels * s[1];
  const int64_t channel = is_crd ? b * b * s[1] : s[1];
  return Only(
      StridedCopy(call.TensorOf(0), 0, {in[0], channels, in[2], b, in[3], b},
                  {s[0], channel, s[2], row, s[3], column}, outputs[0]));
}

}  // namespace

absl::Span<const OperatorDef> IndexOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"Gather", 2, 2, kAny, GatherRule, GatherKernel},
      {"GatherElements", 2, 2, kAny, GatherElementsRule, GatherElementsKernel},
      {"SpaceToDepth", 1, 1, kAny, SpaceToDepthRule, SpaceToDepthKernel},
      {"DepthToSpace", 1, 1, kAny, DepthToSpaceRule, DepthToSpaceKernel},
  };
  return kOperators;
}

}  // namespace lathe
