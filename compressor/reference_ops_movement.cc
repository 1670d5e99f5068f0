// Operators that only move elements: every output element is one element of an
// input, found by strides.
#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

constexpr int64_t kMostSize = int64_t{1} << 31;

// ------------------------------------------------------------ Concat, Split

absl::StatusOr<Values> ConcatRule(const OpCall& call) {
  // Opsets before 4, which are not read, had a default.
  constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
  if (call.node().IntOr("axis", kNone) == kNone) {
    return call.Invalid("the attribute axis, an integer, is missing");
  }
  OpValue out = call.In(0);
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  for (int i = 1; i < call.InputCount(); ++i) {
    if (!call.Has(i))
      return call.Invalid(absl::StrCat("input ", i, " is missing"));
    Shape expected = out.shape;
    if (call.Rank(i) == call.Rank(0)) expected[axis] = call.ShapeOf(i)[axis];
    if (call.TypeOf(i) != out.type || call.ShapeOf(i) != expected) {
      return call.Invalid(absl::StrCat(
          "input ", i, " (", DataTypeName(call.TypeOf(i)), " ",
          ShapeToString(call.ShapeOf(i)), ") does not fit input 0 (",
          DataTypeName(out.type), " ", ShapeToString(call.ShapeOf(0)), ")"));
    }
    out.shape[axis] += call.ShapeOf(i)[axis];
  }
  return Values{out};
}

absl::StatusOr<Tensors> ConcatKernel(const OpCall& call,
                                     const Values& outputs) {
  const Shape& shape = outputs[0].shape;
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  const int64_t outer = CountRange(shape, 0, axis);
  std::string bytes;
  bytes.reserve(ElementCount(shape) * ElementBytes(outputs[0].type));
  for (int64_t o = 0; o < outer; ++o) {
    for (int i = 0; i < call.InputCount(); ++i) {
      const std::string& in = call.TensorOf(i).bytes();
      const size_t piece = in.size() / outer;
      bytes.append(in, o * piece, piece);
    }
  }
  return Only(Tensor(outputs[0].type, shape, std::move(bytes)));
}

// Sizes of the pieces along the axis.
absl::StatusOr<std::vector<int64_t>> SplitSizes(const OpCall& call,
                                                int64_t size) {
  LATHE_ASSIGN_OR_RETURN(const auto given,
                         call.IntsOfAttributeOrInput("split", 1));
  if (given.has_value()) return *given;
  const int64_t pieces = call.node().IntOr("num_outputs", call.OutputCount());
  if (pieces != call.OutputCount() || pieces < 1) {
    return call.Invalid(absl::StrCat("num_outputs = ", pieces, ", but it has ",
                                     call.OutputCount(), " outputs"));
  }
  const int64_t piece = (size + pieces - 1) / pieces;
  std::vector<int64_t> sizes(pieces, piece);
  sizes.back() = size - piece * (pieces - 1);
  return sizes;
}

absl::StatusOr<Values> SplitRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  const int64_t size = call.ShapeOf(0)[axis];
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes,
                         SplitSizes(call, size));
  Values outputs;
  int64_t total = 0;
  for (const int64_t piece : sizes) {
    if (piece < 0 || piece > size) {
      return call.Invalid(
          absl::StrCat("a piece of ", piece, " does not fit into ", size));
    }
    total += piece;
    outputs.push_back(call.In(0));
    outputs.back().shape[axis] = piece;
  }
  if (total != size || static_cast<int>(sizes.size()) != call.OutputCount()) {
    return call.Invalid(absl::StrCat(
        "pieces ", ShapeToString(sizes), " do not make up dimension ", axis,
        " of ", size, " in ", call.OutputCount(), " outputs"));
  }
  return outputs;
}

absl::StatusOr<Tensors> SplitKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  const std::vector<int64_t> strides = Strides(call.ShapeOf(0));
  Tensors pieces;
  int64_t first = 0;
  for (const OpValue& output : outputs) {
    pieces.push_back(StridedCopy(call.TensorOf(0), first * strides[axis],
                                 output.shape, strides, output));
    first += output.shape[axis];
  }
  return pieces;
}

// -------------------------------------------------------------------- Slice

struct SliceRange {
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;
  Shape sizes;
};

// Cuts one dimension as NumPy does: start:end:step.
void CutDimension(int64_t d, int64_t start, int64_t end, int64_t step,
                  SliceRange& range) {
  const int64_t size = range.sizes[d];
  // Beyond a dimension's size all steps do the same.
  step = std::min(std::max(step, -kMostSize), kMostSize);
  if (start < 0) start += size;
  if (end < 0) end += size;
  const int64_t least = step > 0 ? 0 : -1;
  const int64_t most = step > 0 ? size : size - 1;
  start = std::min(std::max(start, std::max<int64_t>(least, 0)), most);
  end = std::min(std::max(end, least), most);
  const int64_t span = step > 0 ? end - start : start - end;
  const int64_t stride = step > 0 ? step : -step;
  range.starts[d] = start;
  range.steps[d] = step;
  range.sizes[d] = span <= 0 ? 0 : (span - 1) / stride + 1;
}

absl::StatusOr<SliceRange> ResolveSlice(const OpCall& call) {
  const int64_t rank = call.Rank(0);
  LATHE_ASSIGN_OR_RETURN(const auto starts,
                         call.IntsOfAttributeOrInput("starts", 1));
  LATHE_ASSIGN_OR_RETURN(const auto ends,
                         call.IntsOfAttributeOrInput("ends", 2));
  LATHE_ASSIGN_OR_RETURN(auto axes, call.IntsOfAttributeOrInput("axes", 3));
  LATHE_ASSIGN_OR_RETURN(auto steps, call.IntsOfAttributeOrInput("steps", 4));
  if (!starts.has_value() || !ends.has_value()) {
    return call.Invalid("has no starts or no ends");
  }
  const size_t count = starts->size();
  if (!axes.has_value()) {
    axes.emplace();
    for (size_t i = 0; i < count; ++i) axes->push_back(i);
  }
  if (!steps.has_value()) steps.emplace(count, 1);
  if (ends->size() != count || axes->size() != count ||
      steps->size() != count) {
    return call.Invalid("starts, ends, axes and steps differ in length");
  }
  LATHE_RETURN_IF_ERROR(NormalizeAxes(call, *axes, rank).status());
  SliceRange range{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1),
                   call.ShapeOf(0)};
  for (size_t i = 0; i < count; ++i) {
    if ((*steps)[i] == 0) return call.Invalid("a step is 0");
    LATHE_ASSIGN_OR_RETURN(const int64_t d,
                           NormalizeAxis(call, (*axes)[i], rank));
    CutDimension(d, (*starts)[i], (*ends)[i], (*steps)[i], range);
  }
  return range;
}

absl::StatusOr<Values> SliceRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(SliceRange range, ResolveSlice(call));
  return Values{{call.TypeOf(0), std::move(range.sizes)}};
}

absl::StatusOr<Tensors> SliceKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const SliceRange range, ResolveSlice(call));
  std::vector<int64_t> strides = Strides(call.ShapeOf(0));
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    offset += range.starts[d] * strides[d];
    strides[d] *= range.steps[d];
  }
  return Only(StridedCopy(call.TensorOf(0), offset, outputs[0].shape, strides,
                          outputs[0]));
}

// --------------------------------------------------- Transpose, Expand, Tile

absl::StatusOr<std::vector<int64_t>> Permutation(const OpCall& call) {
  const int64_t rank = call.Rank(0);
  std::vector<int64_t> reversed;
  for (int64_t d = rank; d-- > 0;) reversed.push_back(d);
  const std::vector<int64_t> permutation = call.node().IntsOr("perm", reversed);
  // Unlike other axes these do not count from the end where they are negative.
  if (!std::is_permutation(permutation.begin(), permutation.end(),
                           reversed.begin(), reversed.end())) {
    return call.Invalid(absl::StrCat("perm = ", ShapeToString(permutation),
                                     " is no permutation of ", rank,
                                     " dimensions"));
  }
  return permutation;
}

absl::StatusOr<Values> TransposeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const auto permutation, Permutation(call));
  OpValue out{call.TypeOf(0), {}};
  for (const int64_t d : permutation) out.shape.push_back(call.ShapeOf(0)[d]);
  return Values{out};
}

absl::StatusOr<Tensors> TransposeKernel(const OpCall& call,
                                        const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const auto permutation, Permutation(call));
  const std::vector<int64_t> own = Strides(call.ShapeOf(0));
  std::vector<int64_t> strides;
  for (const int64_t d : permutation) strides.push_back(own[d]);
  return Only(
      StridedCopy(call.TensorOf(0), 0, outputs[0].shape, strides, outputs[0]));
}

absl::StatusOr<Values> ExpandRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Shape wanted, call.IntsOf(1, "shape"));
  LATHE_ASSIGN_OR_RETURN(Shape shape,
                         BroadcastShapes(call, call.ShapeOf(0), wanted));
  return Values{{call.TypeOf(0), std::move(shape)}};
}

absl::StatusOr<Tensors> ExpandKernel(const OpCall& call,
                                     const Values& outputs) {
  return Only(StridedCopy(call.TensorOf(0), 0, outputs[0].shape,
                          BroadcastStrides(call.ShapeOf(0), outputs[0].shape),
                          outputs[0]));
}

absl::StatusOr<Values> TileRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const auto repeats, call.IntsOf(1, "repeats"));
  OpValue out = call.In(0);
  if (repeats.size() != out.shape.size()) {
    return call.Invalid(absl::StrCat("repeats = ", ShapeToString(repeats),
                                     " does not fit ",
                                     ShapeToString(out.shape)));
  }
  for (size_t d = 0; d < repeats.size(); ++d) {
    if (repeats[d] < 0 || repeats[d] > kMostSize) {
      return call.Invalid(absl::StrCat("repeats = ", ShapeToString(repeats)));
    }
    out.shape[d] *= repeats[d];
  }
  return Values{out};
}

// Repeats are dimensions of their own, which do not move in the input.
absl::StatusOr<Tensors> TileKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const auto repeats, call.IntsOf(1, "repeats"));
  const std::vector<int64_t> own = Strides(call.ShapeOf(0));
  Shape walk;
  std::vector<int64_t> strides;
  for (size_t d = 0; d < own.size(); ++d) {
    walk.insert(walk.end(), {repeats[d], call.ShapeOf(0)[d]});
    strides.insert(strides.end(), {0, own[d]});
  }
  return Only(StridedCopy(call.TensorOf(0), 0, walk, strides, outputs[0]));
}

}  // namespace

absl::Span<const OperatorDef> MovementOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"Concat", 1, kAnyCount, kAny, ConcatRule, ConcatKernel},
      {"Split", 1, 2, kAny, SplitRule, SplitKernel},
      {"Slice", 1, 5, kAny, SliceRule, SliceKernel},
      {"Transpose", 1, 1, kAny, TransposeRule, TransposeKernel},
      {"Expand", 2, 2, kAny, ExpandRule, ExpandKernel},
      {"Tile", 2, 2, kAny, TileRule, TileKernel},
  };
  return kOperators;
}

}  // namespace lathe
