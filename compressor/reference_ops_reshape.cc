// Operators that give the same elements another shape.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/limits.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::StatusOr<Tensors> ReshapeKernel(const OpCall& call,
                                      const Values& outputs) {
  return Only(call.TensorOf(0).Reshaped(outputs[0].shape));
}

// Replaces 0 by the input's size. Returns the product of all sizes but -1.
absl::StatusOr<int64_t> FillZeros(const OpCall& call, Shape& shape) {
  const bool copies_zero = call.node().IntOr("allowzero", 0) == 0;
  int64_t product = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && copies_zero) {
      if (static_cast<int64_t>(d) >= call.Rank(0)) {
        return call.Invalid(absl::StrCat("shape[", d, "] = 0, but the input ",
                                         ShapeToString(call.ShapeOf(0)),
                                         " has no such dimension"));
      }
      shape[d] = call.ShapeOf(0)[d];
    }
    if (shape[d] == -1) continue;
    const bool is_too_large =
        shape[d] > kMostElements ||
        (shape[d] > 0 && product > kMostElements / shape[d]);
    if (shape[d] < 0 || is_too_large) {
      return call.Invalid(absl::StrCat("input of shape ",
                                       ShapeToString(call.ShapeOf(0)),
                                       " does not fit size ", shape[d]));
    }
    product *= shape[d];
  }
  return product;
}

absl::StatusOr<Values> ReshapeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(Shape shape, call.IntsOf(1, "shape"));
  LATHE_ASSIGN_OR_RETURN(const int64_t product, FillZeros(call, shape));
  const int64_t count = ElementCount(call.ShapeOf(0));
  const auto open = std::count(shape.begin(), shape.end(), -1);
  if (open > 1) return call.Invalid("the shape has more than one -1");
  const bool fits =
      open == 0 ? product == count : product > 0 && count % product == 0;
  if (!fits) {
    return call.Invalid(absl::StrCat("input of shape ",
                                     ShapeToString(call.ShapeOf(0)),
                                     " does not fit ", ShapeToString(shape)));
  }
  if (open == 1) *std::find(shape.begin(), shape.end(), -1) = count / product;
  return Values{{call.TypeOf(0), std::move(shape)}};
}

absl::StatusOr<Values> FlattenRule(const OpCall& call) {
  const int64_t rank = call.Rank(0);
  const int64_t given = call.node().IntOr("axis", 1);
  if (given < -rank || given > rank) {
    return call.Invalid(
        absl::StrCat("axis = ", given, ", not in [", -rank, ", ", rank, "]"));
  }
  const int64_t axis = given < 0 ? given + rank : given;
  const Shape& in = call.ShapeOf(0);
  return Values{
      {call.TypeOf(0), {CountRange(in, 0, axis), CountRange(in, axis, rank)}}};
}

absl::StatusOr<Values> SqueezeRule(const OpCall& call) {
  const Shape& in = call.ShapeOf(0);
  LATHE_ASSIGN_OR_RETURN(const auto given,
                         call.IntsOfAttributeOrInput("axes", 1));
  std::vector<int64_t> axes;
  if (given.has_value()) {
    LATHE_ASSIGN_OR_RETURN(axes, NormalizeAxes(call, *given, call.Rank(0)));
  } else {
    for (size_t d = 0; d < in.size(); ++d) {
      if (in[d] == 1) axes.push_back(d);
    }
  }
  OpValue out{call.TypeOf(0), {}};
  for (int64_t d = 0; d < call.Rank(0); ++d) {
    if (!std::binary_search(axes.begin(), axes.end(), d)) {
      out.shape.push_back(in[d]);
    } else if (in[d] != 1) {
      return call.Invalid(absl::StrCat("dimension ", d, " of ",
                                       ShapeToString(in), " is not 1"));
    }
  }
  return Values{out};
}

absl::StatusOr<Values> UnsqueezeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const auto given,
                         call.IntsOfAttributeOrInput("axes", 1));
  if (!given.has_value()) return call.Invalid("has no axes");
  const int64_t rank = call.Rank(0) + static_cast<int64_t>(given->size());
  LATHE_ASSIGN_OR_RETURN(const auto axes, NormalizeAxes(call, *given, rank));
  OpValue out = call.In(0);
  for (const int64_t axis : axes) {
    out.shape.insert(out.shape.begin() + axis, 1);
  }
  return Values{out};
}

}  // namespace

absl::Span<const OperatorDef> ReshapeOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"Reshape", 2, 2, kAny, ReshapeRule, ReshapeKernel},
      {"Flatten", 1, 1, kAny, FlattenRule, ReshapeKernel},
      {"Squeeze", 1, 2, kAny, SqueezeRule, ReshapeKernel},
      {"Unsqueeze", 1, 2, kAny, UnsqueezeRule, ReshapeKernel},
  };
  return kOperators;
}

}  // namespace lathe
