// Operators that make tensors from shapes and numbers.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// The dimensions that Shape gives: [start, end) of the input's.
Shape ShapePart(const OpCall& call) {
  const int64_t rank = call.Rank(0);
  int64_t start = call.node().IntOr("start", 0);
  int64_t end = call.node().IntOr("end", rank);
  if (start < 0) start += rank;
  if (end < 0) end += rank;
  start = std::min(std::max<int64_t>(start, 0), rank);
  end = std::min(std::max(end, start), rank);
  const Shape& in = call.ShapeOf(0);
  return Shape(in.begin() + start, in.begin() + end);
}

absl::StatusOr<Values> ShapeRule(const OpCall& call) {
  return Values{
      {DataType::kInt64, {static_cast<int64_t>(ShapePart(call).size())}}};
}

absl::StatusOr<Tensors> ShapeKernel(const OpCall& call, const Values& outputs) {
  return Only(Tensor::Of<int64_t>(outputs[0].shape, ShapePart(call)));
}

absl::StatusOr<Values> SizeRule(const OpCall& call) {
  return Values{{DataType::kInt64, {}}};
}

absl::StatusOr<Tensors> SizeKernel(const OpCall& call, const Values& outputs) {
  return Only(Tensor::Of<int64_t>(
      {}, std::vector<int64_t>{ElementCount(call.ShapeOf(0))}));
}

// What ConstantOfShape repeats.
Tensor FillValue(const OpCall& call) {
  const auto found = call.node().attributes.find("value");
  if (found == call.node().attributes.end()) return Tensor();
  const Tensor* value = std::get_if<Tensor>(&found->second);
  return value == nullptr ? Tensor() : *value;
}

absl::StatusOr<Values> ConstantOfShapeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(Shape shape, call.IntsOf(0, "shape"));
  const Tensor value = FillValue(call);
  if (value.size() != 1) {
    return call.Invalid(
        absl::StrCat("the value has ", value.size(), " elements, not 1"));
  }
  return Values{{value.type(), std::move(shape)}};
}

absl::StatusOr<Tensors> ConstantOfShapeKernel(const OpCall& call,
                                              const Values& outputs) {
  const Shape& shape = outputs[0].shape;
  return Only(StridedCopy(FillValue(call), 0, shape,
                          std::vector<int64_t>(shape.size(), 0), outputs[0]));
}

// How many elements start, start + delta, ... has before limit.
template <typename T>
absl::StatusOr<int64_t> RangeCount(const OpCall& call) {
  const double start = static_cast<double>(call.ValuesOf<T>(0)[0]);
  const double limit = static_cast<double>(call.ValuesOf<T>(1)[0]);
  const double delta = static_cast<double>(call.ValuesOf<T>(2)[0]);
  const double count = std::ceil((limit - start) / delta);
  if (delta == 0 || !std::isfinite(count) || count > 2147483648.0) {
    return call.Invalid(absl::StrCat("start = ", start, ", limit = ", limit,
                                     ", delta = ", delta));
  }
  return static_cast<int64_t>(std::max(count, 0.0));
}

absl::StatusOr<Values> RangeRule(const OpCall& call) {
  const DataType type = call.TypeOf(0);
  if (type == DataType::kBool) return call.Invalid("inputs are bool");
  for (const int i : {0, 1, 2}) {
    if (call.TypeOf(i) != type || ElementCount(call.ShapeOf(i)) != 1) {
      return call.Invalid("start, limit and delta are not numbers of one type");
    }
    if (!call.IsKnown(i)) {
      return call.Unsupported("its length depends on the data");
    }
  }
  const absl::StatusOr<int64_t> count = VisitType(
      type, [&](auto zero) { return RangeCount<decltype(zero)>(call); });
  if (!count.ok()) return count.status();
  return Values{{type, {*count}}};
}

absl::StatusOr<Tensors> RangeKernel(const OpCall& call, const Values& outputs) {
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const T start = call.ValuesOf<T>(0)[0];
    const T delta = call.ValuesOf<T>(2)[0];
    for (int64_t i = 0; i < out.size(); ++i) {
      out.data()[i] = static_cast<T>(start + static_cast<T>(i) * delta);
    }
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> ShapeOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"Shape", 1, 1, kAny, ShapeRule, ShapeKernel},
      {"Size", 1, 1, kAny, SizeRule, SizeKernel},
      {"ConstantOfShape", 1, 1, kAny, ConstantOfShapeRule,
       ConstantOfShapeKernel},
      {"Range", 3, 3, kAny, RangeRule, RangeKernel},
  };
  return kOperators;
}

}  // namespace lathe
