// Operators that read or write elements at places that data name: TopK, OneHot,
// GatherND and the Scatter family, ReverseSequence and EyeLike.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/numeric_cast.h"
#include "compressor/onnx_tensor.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// --------------------------------------------------------------------- TopK

struct TopK {
  int64_t axis = 0;
  int64_t k = 0;
};

absl::StatusOr<TopK> ReadTopK(const OpCall& call) {
  TopK top;
  LATHE_ASSIGN_OR_RETURN(
      top.axis,
      NormalizeAxis(call, call.node().IntOr("axis", -1), call.Rank(0)));
  if (call.Has(1)) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> k, call.IntsOf(1, "K"));
    if (k.size() != 1) return call.Invalid("K (input 1) is not one number");
    top.k = k[0];
  } else {
    top.k = call.node().IntOr("k", -1);
  }
  const int64_t size = call.ShapeOf(0)[top.axis];
  if (top.k < 0 || top.k > size) {
    return call.Invalid(
        absl::StrCat("K = ", top.k, ", not in [0, ", size, "]"));
  }
  return top;
}

absl::StatusOr<Values> TopKRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const TopK top, ReadTopK(call));
  Shape shape = call.ShapeOf(0);
  shape[top.axis] = top.k;
  return Values{{call.TypeOf(0), shape}, {DataType::kInt64, shape}};
}

// Whether `a` goes before `b`. NaN is larger than every number, so that the
// order is a strict one.
template <typename T>
bool IsLarger(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
  }
  return a > b;
}

absl::StatusOr<Tensors> TopKKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const TopK top, ReadTopK(call));
  const bool is_largest = call.node().IntOr("largest", 1) != 0;
  const Shape& in = call.ShapeOf(0);
  const int64_t size = in[top.axis];
  const int64_t inner = CountRange(in, top.axis + 1, in.size());
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> values(outputs[0]);
    TensorBuilder<int64_t> indices(outputs[1]);
    std::vector<int64_t> order(size);
    const int64_t rows = top.k == 0 ? 0 : values.size() / top.k;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t block = row / inner;
      const T* from =
          Elements<T>(call.TensorOf(0)) + block * size * inner + row % inner;
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + top.k, order.end(),
                        [&](int64_t a, int64_t b) {
                          const T x = from[(is_largest ? a : b) * inner];
                          const T y = from[(is_largest ? b : a) * inner];
                          if (IsLarger(x, y)) return true;
                          return !IsLarger(y, x) && a < b;
                        });
      for (int64_t i = 0; i < top.k; ++i) {
        const int64_t to = (block * top.k + i) * inner + row % inner;
        values.data()[to] = from[order[i] * inner];
        indices.data()[to] = order[i];
      }
    }
    Tensors tensors = Only(std::move(values).Build());
    tensors.push_back(std::move(indices).Build());
    return tensors;
  });
}

// ------------------------------------------------------------------- OneHot

// The numbers of input `i`, of any type, as integers.
std::vector<int64_t> AsInts(const OpCall& call, int i) {
  return VisitType(call.TypeOf(i), [&](auto zero) {
    using T = decltype(zero);
    std::vector<int64_t> ints;
    const T* values = Elements<T>(call.TensorOf(i));
    for (int64_t k = 0; k < call.TensorOf(i).size(); ++k) {
      ints.push_back(NumericCast<int64_t>(values[k]));
    }
    return ints;
  });
}

absl::StatusOr<int64_t> OneHotAxis(const OpCall& call) {
  return NormalizeAxis(call, call.node().IntOr("axis", -1), call.Rank(0) + 1);
}

absl::StatusOr<Values> OneHotRule(const OpCall& call) {
  if (call.opset() < 11) {
    return call.Unsupported("OneHot before opset 11; convert the model to 13");
  }
  if (!call.IsKnown(1) || call.TensorOf(1).size() != 1) {
    return call.Unsupported(
        "depth (input 1) is not one number that follows from shapes");
  }
  if (ElementCount(call.ShapeOf(2)) != 2) {
    return call.Invalid("values (input 2) are not two");
  }
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, OneHotAxis(call));
  const int64_t depth = AsInts(call, 1)[0];
  if (depth < 1) return call.Invalid(absl::StrCat("depth = ", depth));
  Shape shape = call.ShapeOf(0);
  shape.insert(shape.begin() + axis, depth);
  return Values{{call.TypeOf(2), std::move(shape)}};
}

absl::StatusOr<Tensors> OneHotKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, OneHotAxis(call));
  const int64_t depth = outputs[0].shape[axis];
  const int64_t inner =
      CountRange(outputs[0].shape, axis + 1, outputs[0].shape.size());
  const std::vector<int64_t> indices = AsInts(call, 0);
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    const T* off_on = Elements<T>(call.TensorOf(2));
    TensorBuilder<T> out(outputs[0]);
    std::fill(out.data(), out.data() + out.size(), off_on[0]);
    for (size_t i = 0; i < indices.size(); ++i) {
      const int64_t index = indices[i] < 0 ? indices[i] + depth : indices[i];
      if (index < 0 || index >= depth) continue;
      const int64_t at = static_cast<int64_t>(i);
      out.data()[(at / inner * depth + index) * inner + at % inner] = off_on[1];
    }
    return Only(std::move(out).Build());
  });
}

// ------------------------------------------------- GatherND and ScatterND

// Of each tuple of input 1, which names places along the axes from `first`
// on: where in input 0 the piece begins that it names, counted from the
// beginning of those axes. `strides` are input 0's.
absl::StatusOr<std::vector<int64_t>> TupleOffsets(
    const OpCall& call, int64_t first, absl::Span<const int64_t> strides) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> indices,
                         call.IntsOf(1, "indices"));
  const int64_t width = call.ShapeOf(1).back();
  const int64_t count =
      CountRange(call.ShapeOf(1), 0, call.ShapeOf(1).size() - 1);
  std::vector<int64_t> offsets(count, 0);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t w = 0; w < width; ++w) {
      const int64_t size = call.ShapeOf(0)[first + w];
      LATHE_ASSIGN_OR_RETURN(const int64_t index,
                             ResolveIndex(call, indices[i * width + w], size));
      offsets[i] += index * strides[first + w];
    }
  }
  return offsets;
}

// The shape of what tuples of indices name: one piece for each.
absl::StatusOr<Shape> TupleShape(const OpCall& call, int64_t first) {
  LATHE_RETURN_IF_ERROR(CheckIndexType(call));
  const Shape& data = call.ShapeOf(0);
  const Shape& indices = call.ShapeOf(1);
  if (indices.empty() || indices.back() < 1 ||
      indices.back() > static_cast<int64_t>(data.size()) - first) {
    return call.Invalid(absl::StrCat("indices of shape ",
                                     ShapeToString(indices), " do not fit ",
                                     ShapeToString(data)));
  }
  Shape shape(indices.begin(), indices.end() - 1);
  shape.insert(shape.end(), data.begin() + first + indices.back(), data.end());
  return shape;
}

absl::StatusOr<Values> GatherNdRule(const OpCall& call) {
  const int64_t batch_dims = call.node().IntOr("batch_dims", 0);
  const int64_t most = std::min(call.Rank(0), call.Rank(1) - 1);
  if (batch_dims < 0 || batch_dims > most) {
    return call.Invalid(
        absl::StrCat("batch_dims = ", batch_dims, ", not in [0, ", most, "]"));
  }
  for (int64_t d = 0; d < batch_dims; ++d) {
    if (call.ShapeOf(0)[d] == call.ShapeOf(1)[d]) continue;
    return call.Invalid(absl::StrCat("dimension ", d,
                                     " of data and indices differs, but is one "
                                     "of the batch_dims"));
  }
  LATHE_ASSIGN_OR_RETURN(Shape shape, TupleShape(call, batch_dims));
  return Values{{call.TypeOf(0), std::move(shape)}};
}

absl::StatusOr<Tensors> GatherNdKernel(const OpCall& call,
                                       const Values& outputs) {
  const int64_t first = call.node().IntOr("batch_dims", 0);
  const Shape& data = call.ShapeOf(0);
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                         TupleOffsets(call, first, Strides(data)));
  const int64_t batches = CountRange(data, 0, first);
  const int64_t batch_size = CountRange(data, first, data.size());
  const int64_t piece =
      CountRange(data, first + call.ShapeOf(1).back(), data.size());
  const size_t element = ElementBytes(outputs[0].type);
  std::string bytes;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const int64_t batch = static_cast<int64_t>(i) * batches /
                          static_cast<int64_t>(offsets.size());
    bytes.append(call.TensorOf(0).bytes(),
                 (batch * batch_size + offsets[i]) * element, piece * element);
  }
  return Only(Tensor(outputs[0].type, outputs[0].shape, std::move(bytes)));
}

// How an update meets what is there.
enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

absl::StatusOr<Reduction> ReductionOf(const OpCall& call) {
  const std::string name = call.node().StringOr("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  return call.Invalid(absl::StrCat("reduction = \"", name,
                                   "\", not none, add, mul, max or min"));
}

// Integers modulo 2^n.
template <typename T>
T Reduce(Reduction reduction, T a, T b) {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, T, uint64_t>;
  switch (reduction) {
    case Reduction::kNone:
      return b;
    case Reduction::kAdd:
      return static_cast<T>(static_cast<Wide>(a) + static_cast<Wide>(b));
    case Reduction::kMul:
      return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b));
    case Reduction::kMax:
      return std::max(a, b);
    case Reduction::kMin:
      return std::min(a, b);
  }
  return b;
}

// Input 0 with the runs of `piece` updates at `offsets`, one after another.
absl::StatusOr<Tensors> Scatter(const OpCall& call, const OpValue& output,
                                const std::vector<int64_t>& offsets,
                                int64_t piece) {
  LATHE_ASSIGN_OR_RETURN(const Reduction reduction, ReductionOf(call));
  return VisitType(output.type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(output);
    const T* data = Elements<T>(call.TensorOf(0));
    std::copy(data, data + out.size(), out.data());
    const T* update = Elements<T>(call.TensorOf(2));
    for (const int64_t offset : offsets) {
      T* to = out.data() + offset;
      for (int64_t i = 0; i < piece; ++i, ++update) {
        to[i] = Reduce(reduction, to[i], *update);
      }
    }
    return Only(std::move(out).Build());
  });
}

absl::Status CheckUpdates(const OpCall& call, const Shape& wanted) {
  LATHE_RETURN_IF_ERROR(ReductionOf(call).status());
  if (call.TypeOf(2) != call.TypeOf(0)) {
    return call.Invalid(
        absl::StrCat("updates are ", DataTypeName(call.TypeOf(2)),
                     ", the data ", DataTypeName(call.TypeOf(0))));
  }
  if (call.ShapeOf(2) == wanted) return absl::OkStatus();
  return call.Invalid(absl::StrCat("updates of shape ",
                                   ShapeToString(call.ShapeOf(2)), ", not ",
                                   ShapeToString(wanted)));
}

absl::StatusOr<Values> ScatterNdRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Shape updates, TupleShape(call, 0));
  LATHE_RETURN_IF_ERROR(CheckUpdates(call, updates));
  return LikeInput(call);
}

absl::StatusOr<Tensors> ScatterNdKernel(const OpCall& call,
                                        const Values& outputs) {
  const Shape& data = call.ShapeOf(0);
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                         TupleOffsets(call, 0, Strides(data)));
  return Scatter(call, outputs[0], offsets,
                 CountRange(data, call.ShapeOf(1).back(), data.size()));
}

absl::StatusOr<int64_t> ScatterAxis(const OpCall& call) {
  return NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0));
}

absl::StatusOr<Values> ScatterElementsRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckIndexType(call));
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, ScatterAxis(call));
  LATHE_RETURN_IF_ERROR(CheckElementIndices(call, axis));
  LATHE_RETURN_IF_ERROR(CheckUpdates(call, call.ShapeOf(1)));
  return LikeInput(call);
}

absl::StatusOr<Tensors> ScatterElementsKernel(const OpCall& call,
                                              const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, ScatterAxis(call));
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> indices,
                         ResolveIndices(call, call.ShapeOf(0)[axis]));
  std::vector<int64_t> strides = Strides(call.ShapeOf(0));
  const int64_t axis_stride = strides[axis];
  strides[axis] = 0;
  std::vector<int64_t> offsets(indices.size());
  WalkStrided<1>(call.ShapeOf(1), {strides},
                 [&](int64_t i, const std::array<int64_t, 1>& at) {
                   offsets[i] = at[0] + indices[i] * axis_stride;
                 });
  return Scatter(call, outputs[0], offsets, /*piece=*/1);
}

// ---------------------------------------------------------- ReverseSequence

struct SequenceAxes {
  int64_t batch = 1;
  int64_t time = 0;
};

absl::StatusOr<SequenceAxes> SequenceAxesOf(const OpCall& call) {
  SequenceAxes axes;
  axes.batch = call.node().IntOr("batch_axis", 1);
  axes.time = call.node().IntOr("time_axis", 0);
  const bool is_known = std::min(axes.batch, axes.time) == 0 &&
                        std::max(axes.batch, axes.time) == 1;
  if (!is_known || call.Rank(0) < 2 ||
      call.ShapeOf(1) != Shape{call.ShapeOf(0)[axes.batch]}) {
    return call.Invalid(absl::StrCat(
        "batch_axis = ", axes.batch, ", time_axis = ", axes.time, " on ",
        ShapeToString(call.ShapeOf(0)), " with lengths of shape ",
        ShapeToString(call.ShapeOf(1))));
  }
  return axes;
}

absl::StatusOr<Values> ReverseSequenceRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckIndexType(call));
  LATHE_RETURN_IF_ERROR(SequenceAxesOf(call).status());
  return LikeInput(call);
}

absl::StatusOr<Tensors> ReverseSequenceKernel(const OpCall& call,
                                              const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const SequenceAxes axes, SequenceAxesOf(call));
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths,
                         call.IntsOf(1, "sequence_lens"));
  const Shape& shape = outputs[0].shape;
  const std::vector<int64_t> strides = Strides(shape);
  const int64_t steps = shape[axes.time];
  for (const int64_t length : lengths) {
    if (length >= 0 && length <= steps) continue;
    return call.Invalid(
        absl::StrCat("sequence length ", length, ", not in [0, ", steps, "]"));
  }
  const size_t piece =
      CountRange(shape, 2, shape.size()) * ElementBytes(outputs[0].type);
  const std::string& in = call.TensorOf(0).bytes();
  std::string bytes = in;
  for (size_t b = 0; piece > 0 && b < lengths.size(); ++b) {
    for (int64_t t = 0; t < lengths[b]; ++t) {
      const auto at = [&](int64_t time) {
        return (b * strides[axes.batch] + time * strides[axes.time]) *
               ElementBytes(outputs[0].type);
      };
      bytes.replace(at(t), piece, in, at(lengths[b] - 1 - t), piece);
    }
  }
  return Only(Tensor(outputs[0].type, shape, std::move(bytes)));
}

// ------------------------------------------------------------------ EyeLike

absl::StatusOr<Values> EyeLikeRule(const OpCall& call) {
  if (call.Rank(0) != 2) return call.Invalid("the input is not a matrix");
  if (!call.HasAttribute("dtype")) return LikeInput(call);
  LATHE_ASSIGN_OR_RETURN(
      const DataType type,
      DataTypeFromOnnx(call.node().IntOr("dtype", 0),
                       absl::StrCat("node \"", call.node().name, "\"")));
  if (type == DataType::kFloat16 || type == DataType::kBfloat16) {
    return call.Unsupported("a matrix of 16-bit floats; use float32");
  }
  return Values{{type, call.ShapeOf(0)}};
}

absl::StatusOr<Tensors> EyeLikeKernel(const OpCall& call,
                                      const Values& outputs) {
  const int64_t diagonal = call.node().IntOr("k", 0);
  const int64_t columns = outputs[0].shape[1];
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    for (int64_t i = 0; i < out.size(); ++i) {
      if (i % columns - i / columns == diagonal) out.data()[i] = T(1);
    }
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> ScatterOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"TopK", 1, 2, kAny, TopKRule, TopKKernel},
      {"OneHot", 3, 3, kAny, OneHotRule, OneHotKernel},
      {"GatherND", 2, 2, kAny, GatherNdRule, GatherNdKernel},
      {"ScatterND", 3, 3, kAny, ScatterNdRule, ScatterNdKernel},
      {"ScatterElements", 3, 3, kAny, ScatterElementsRule,
       ScatterElementsKernel},
      {"Scatter", 3, 3, kAny, ScatterElementsRule, ScatterElementsKernel},
      {"ReverseSequence", 2, 2, kAny, ReverseSequenceRule,
       ReverseSequenceKernel},
      {"EyeLike", 1, 1, kAny, EyeLikeRule, EyeLikeKernel},
  };
  return kOperators;
}

}  // namespace lathe
