#include "compressor/op_shapes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {

absl::StatusOr<Shape> BroadcastShapes(const OpCall& call,
                                      absl::Span<const int64_t> a,
                                      absl::Span<const int64_t> b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (size_t back = 1; back <= out.size(); ++back) {
    const int64_t size_a = back <= a.size() ? a[a.size() - back] : 1;
    const int64_t size_b = back <= b.size() ? b[b.size() - back] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      return call.Invalid(absl::StrCat("shapes ", ShapeToString(a), " and ",
                                       ShapeToString(b), " do not broadcast"));
    }
    out[out.size() - back] = size_a == 1 ? size_b : size_a;
  }
  return out;
}

absl::StatusOr<int64_t> NormalizeAxis(const OpCall& call, int64_t axis,
                                      int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return call.Invalid(
        absl::StrCat("axis = ", axis, ", not in [", -rank, ", ", rank, ")"));
  }
  return axis < 0 ? axis + rank : axis;
}

absl::StatusOr<std::vector<int64_t>> NormalizeAxes(
    const OpCall& call, absl::Span<const int64_t> axes, int64_t rank) {
  std::vector<int64_t> normalized;
  for (const int64_t axis : axes) {
    LATHE_ASSIGN_OR_RETURN(const int64_t from_front,
                           NormalizeAxis(call, axis, rank));
    normalized.push_back(from_front);
  }
  std::sort(normalized.begin(), normalized.end());
  const auto twice = std::adjacent_find(normalized.begin(), normalized.end());
  if (twice != normalized.end()) {
    return call.Invalid(absl::StrCat("axis ", *twice, " stands twice"));
  }
  return normalized;
}

absl::Status CheckIndexType(const OpCall& call) {
  const DataType type = call.TypeOf(1);
  if (type == DataType::kInt64 || type == DataType::kInt32) {
    return absl::OkStatus();
  }
  return call.Invalid(
      absl::StrCat("indices are ", DataTypeName(type), ", not int64 or int32"));
}

absl::StatusOr<int64_t> ResolveIndex(const OpCall& call, int64_t index,
                                     int64_t size) {
  if (index < -size || index >= size) {
    return call.Invalid(
        absl::StrCat("index ", index, ", not in [", -size, ", ", size, ")"));
  }
  return index < 0 ? index + size : index;
}

absl::StatusOr<std::vector<int64_t>> ResolveIndices(const OpCall& call,
                                                    int64_t size) {
  LATHE_ASSIGN_OR_RETURN(std::vector<int64_t> indices,
                         call.IntsOf(1, "indices"));
  for (int64_t& index : indices) {
    LATHE_ASSIGN_OR_RETURN(index, ResolveIndex(call, index, size));
  }
  return indices;
}

absl::Status CheckElementIndices(const OpCall& call, int64_t axis) {
  const Shape& in = call.ShapeOf(0);
  const Shape& indices = call.ShapeOf(1);
  bool fits = in.size() == indices.size();
  for (size_t d = 0; fits && d < in.size(); ++d) {
    fits = static_cast<int64_t>(d) == axis || indices[d] <= in[d];
  }
  if (fits) return absl::OkStatus();
  return call.Invalid(absl::StrCat("indices of shape ", ShapeToString(indices),
                                   " do not fit ", ShapeToString(in)));
}

std::vector<int64_t> Strides(absl::Span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

std::vector<int64_t> BroadcastStrides(absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> out) {
  const std::vector<int64_t> own = Strides(shape);
  std::vector<int64_t> strides(out.size(), 0);
  const size_t shift = out.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != 1) strides[d + shift] = own[d];
  }
  return strides;
}

int64_t CountRange(absl::Span<const int64_t> shape, int64_t first,
                   int64_t last) {
  return ElementCount(shape.subspan(first, last - first));
}

Tensor StridedCopy(const Tensor& tensor, int64_t offset,
                   absl::Span<const int64_t> walk,
                   const std::vector<int64_t>& strides, const OpValue& output) {
  return VisitType(tensor.type(), [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(output);
    const T* in = Elements<T>(tensor) + offset;
    WalkStrided<1>(walk, {strides},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     out.data()[i] = in[at[0]];
                   });
    return std::move(out).Build();
  });
}

absl::StatusOr<std::vector<OpValue>> LikeInput(const OpCall& call) {
  return std::vector<OpValue>{call.In(0)};
}

std::vector<Tensor> Only(Tensor tensor) {
  std::vector<Tensor> tensors;
  tensors.push_back(std::move(tensor));
  return tensors;
}

}  // namespace lathe
