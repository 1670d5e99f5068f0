// Transpose, Gather and what folds space into channels and back: views of the
// memory that is there, copied where their readers need it.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/lower_ops.h"
#include "evaluator/region_copy.h"

namespace lathe {
namespace {

// The value as it lies if that is some order of dimensions, else row-major.
absl::StatusOr<Copy> FetchUnblocked(LoweringContext& context, ValueId value) {
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(value));
  const std::optional<Layout> layout = DescribeLayout(stored.desc);
  if (layout && layout->channel_block == 1) return stored;
  return context.Fetch(value, stored.encoding,
                       PlainDesc(context.shape(value), stored.encoding.type));
}

// Whether all readers take any order of dimensions.
bool IsReadInAnyOrder(const LoweringContext& context, ValueId value) {
  const Graph& graph = context.graph();
  if (graph.IsOutput(value)) return false;
  const auto& readers = graph.Consumers(value);
  return std::all_of(readers.begin(), readers.end(), [&](int reader) {
    const Node& node = graph.nodes()[reader];
    const bool is_product = node.op_type == "MatMul" && node.inputs.size() == 2;
    // With another value one of both would have to be put in order.
    const bool has_constant = node.inputs.size() == 2 &&
                              (context.constant(node.inputs[0]) != nullptr ||
                               context.constant(node.inputs[1]) != nullptr);
    return node.domain.empty() &&
           (is_product || node.op_type == "Transpose" ||
            node.op_type == "Gather" ||
            (has_constant && IsSmallArithmetic(context, node)));
  });
}

// Bytes that have to lie together for copying them at once to be quicker than
// oneDNN's reorders.
constexpr int64_t kLeastRunBytes = 256;

// Copies run by run; false, and nothing is done, where runs are short.
bool TryAddRunsLoop(LoweringContext& context, const Copy& view,
                    const Copy& destination) {
  const auto from = DescribeLayout(view.desc);
  const auto to = DescribeLayout(destination.desc);
  if (!from || !to) return false;
  const Shape& shape = to->dims;
  const std::vector<int64_t> zeros(shape.size(), 0);
  const RegionCopier copier({*from, *to, shape, zeros,
                             std::vector<int64_t>(shape.size(), 1), zeros,
                             BytesOf(view.encoding)});
  if (copier.RunBytes() < kLeastRunBytes) return false;
  context.AddLoop(
      "reorder", "copy", {Reads(view), Writes(destination)},
      [copier](absl::Span<char* const> operands) {
        copier.Run(operands[0], operands[1]);
        return absl::OkStatus();
      },
      /*is_reorder=*/true);
  return true;
}

// `value` is what `view` shows of other values' memory: no copy where the
// readers take it like that.
absl::StatusOr<bool> DefineView(LoweringContext& context, ValueId value,
                                Copy view) {
  const MemoryDesc plain = PlainDesc(context.shape(value), view.encoding.type);
  if (IsRowMajor(view.desc)) {
    view.desc = plain;
    context.Define(value, view);
    return true;
  }
  if (IsReadInAnyOrder(context, value)) {
    context.Define(value, view);
    return true;
  }
  const Copy destination = context.NewCopy(view.encoding, plain);
  if (!TryAddRunsLoop(context, view, destination)) {
    LATHE_RETURN_IF_ERROR(context.AddReorder(view, destination));
  }
  context.Define(value, destination);
  return true;
}

// Copies the pieces of [outer, extent, piece] that a list names.
struct GatherLoop {
  std::string node;
  int64_t outer = 1;
  int64_t extent = 1;
  int64_t count = 1;
  int64_t piece_bytes = 4;
  DataType index_type = DataType::kInt64;

  int64_t IndexAt(const char* indices, int64_t i) const {
    const int64_t given = index_type == DataType::kInt64
                              ? reinterpret_cast<const int64_t*>(indices)[i]
                              : reinterpret_cast<const int32_t*>(indices)[i];
    return given < 0 ? given + extent : given;
  }

  // Operands: data, indices, result.
  absl::Status operator()(absl::Span<char* const> operands) const {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = IndexAt(operands[1], i);
      if (index < 0 || index >= extent) {
        return absl::InvalidArgumentError(absl::StrCat(
            "node ", node, ": index ", index < 0 ? index - extent : index,
            ", not in [", -extent, ", ", extent, ")"));
      }
      for (int64_t o = 0; o < outer; ++o) {
        std::memcpy(operands[2] + (o * count + i) * piece_bytes,
                    operands[0] + (o * extent + index) * piece_bytes,
                    piece_bytes);
      }
    }
    return absl::OkStatus();
  }
};

// Any number of places along an axis, known or not.
absl::StatusOr<bool> LowerGatherOfMany(LoweringContext& context,
                                       const Node& node) {
  const ValueId input = node.inputs[0];
  const ValueId indices = node.inputs[1];
  const ValueId output = node.outputs[0];
  const Shape& in = context.shape(input);
  const int64_t rank = static_cast<int64_t>(in.size());
  const int64_t axis = (node.IntOr("axis", 0) + rank) % rank;
  GatherLoop loop;
  loop.node = node.name;
  loop.outer = ElementCount(absl::MakeConstSpan(in).subspan(0, axis));
  loop.extent = in[axis];
  loop.count = ElementCount(context.shape(indices));
  loop.piece_bytes = ElementCount(absl::MakeConstSpan(in).subspan(axis + 1)) *
                     static_cast<int64_t>(ElementBytes(context.type(input)));
  loop.index_type = context.type(indices);
  LATHE_ASSIGN_OR_RETURN(const Copy data, context.FetchPlain(input));
  LATHE_ASSIGN_OR_RETURN(const Copy list, context.FetchPlain(indices));
  const Copy destination = context.NewRawCopy(output);
  context.AddLoop("gather", "copy",
                  {Reads(data), Reads(list), Writes(destination)},
                  std::move(loop));
  context.Define(output, destination);
  return true;
}

// `output` is `input` with its elements in the order that `walk` and `strides`,
// of the input as it lies, say.
absl::Status LowerFold(LoweringContext& context, const Node& node,
                       const Copy& source, const Shape& walk,
                       const std::vector<int64_t>& strides) {
  const ValueId output = node.outputs[0];
  const DataType type = source.encoding.type;
  Copy view = source;
  view.desc = StridedDesc(walk, strides, type);
  const Copy destination =
      context.NewCopy(source.encoding, PlainDesc(walk, type));
  LATHE_RETURN_IF_ERROR(context.AddReorder(view, destination));
  context.Define(output,
                 {source.encoding, PlainDesc(context.shape(output), type),
                  destination.location});
  return absl::OkStatus();
}

// Whether the value is an image whose memory can be walked along dimensions.
bool IsFoldable(const LoweringContext& context, const Node& node) {
  return context.type(node.inputs[0]) == DataType::kFloat32 &&
         context.shape(node.inputs[0]).size() == 4 && node.post_ops.empty();
}

// Copies `node`'s input to its output, walked along `walk`.
absl::StatusOr<bool> LowerRepeat(LoweringContext& context, const Node& node,
                                 const Shape& walk,
                                 const std::vector<int64_t>& from,
                                 const std::vector<int64_t>& to) {
  const ValueId output = node.outputs[0];
  const auto bytes = static_cast<int64_t>(ElementBytes(context.type(output)));
  if (bytes > 8) return false;
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(node.inputs[0]));
  const Copy destination = context.NewRawCopy(output);
  const std::vector<int64_t> zeros(walk.size(), 0);
  const RegionCopier copier({{walk, from, 1},
                             {walk, to, 1},
                             walk,
                             zeros,
                             std::vector<int64_t>(walk.size(), 1),
                             zeros,
                             bytes});
  context.AddLoop("repeat", "copy", {Reads(source), Writes(destination)},
                  [copier](absl::Span<char* const> operands) {
                    copier.Run(operands[0], operands[1]);
                    return absl::OkStatus();
                  });
  context.Define(output, destination);
  return true;
}

// Elements between neighbours, row-major.
std::vector<int64_t> DenseStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) {
    strides[d - 1] = strides[d] * shape[d];
  }
  return strides;
}

// With ones in front.
Shape OfRank(size_t rank, Shape shape) {
  shape.insert(shape.begin(), rank - shape.size(), 1);
  return shape;
}

}  // namespace

absl::StatusOr<bool> LowerTranspose(LoweringContext& context,
                                    const Node& node) {
  const ValueId input = node.inputs[0];
  const ValueId output = node.outputs[0];
  const int64_t rank = static_cast<int64_t>(context.shape(input).size());
  if (context.type(input) != DataType::kFloat32 || rank == 0) return false;
  std::vector<int64_t> reversed(rank);
  for (int64_t d = 0; d < rank; ++d) reversed[d] = rank - 1 - d;
  const std::vector<int64_t> order = node.IntsOr("perm", reversed);
  LATHE_ASSIGN_OR_RETURN(Copy view, FetchUnblocked(context, input));
  const Layout layout = *DescribeLayout(view.desc);
  std::vector<int64_t> strides(rank);
  for (int64_t d = 0; d < rank; ++d) strides[d] = layout.strides[order[d]];
  view.desc = StridedDesc(context.shape(output), strides, view.encoding.type);
  return DefineView(context, output, view);
}

absl::StatusOr<bool> LowerGather(LoweringContext& context, const Node& node) {
  const ValueId input = node.inputs[0];
  const ValueId output = node.outputs[0];
  const Tensor* indices = context.constant(node.inputs[1]);
  const int64_t rank = static_cast<int64_t>(context.shape(input).size());
  if (rank == 0 || !node.post_ops.empty()) return false;
  if (indices == nullptr || indices->type() != DataType::kInt64 ||
      !indices->shape().empty() || rank < 2 ||
      context.type(input) != DataType::kFloat32) {
    return LowerGatherOfMany(context, node);
  }
  const int64_t axis = (node.IntOr("axis", 0) + rank) % rank;
  const int64_t extent = context.shape(input)[axis];
  const int64_t given = indices->values<int64_t>()[0];
  const int64_t index = given < 0 ? given + extent : given;
  // The reference has the words for it.
  if (index < 0 || index >= extent) return false;
  LATHE_ASSIGN_OR_RETURN(Copy view, FetchUnblocked(context, input));
  Layout layout = *DescribeLayout(view.desc);
  view.location.offset += index * layout.strides[axis] * BytesOf(view.encoding);
  layout.strides.erase(layout.strides.begin() + axis);
  view.desc =
      StridedDesc(context.shape(output), layout.strides, view.encoding.type);
  return DefineView(context, output, view);
}

absl::StatusOr<bool> LowerSpaceToDepth(LoweringContext& context,
                                       const Node& node) {
  if (!IsFoldable(context, node)) return false;
  const int64_t b = node.IntOr("blocksize", 1);
  const Shape& in = context.shape(node.inputs[0]);
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         FetchUnblocked(context, node.inputs[0]));
  const std::vector<int64_t> s = DescribeLayout(source.desc)->strides;
  LATHE_RETURN_IF_ERROR(LowerFold(
      context, node, source, {in[0], b, b, in[1], in[2] / b, in[3] / b},
      {s[0], s[2], s[3], s[1], s[2] * b, s[3] * b}));
  return true;
}

absl::StatusOr<bool> LowerDepthToSpace(LoweringContext& context,
                                       const Node& node) {
  if (!IsFoldable(context, node)) return false;
  const int64_t b = node.IntOr("blocksize", 1);
  const Shape& in = context.shape(node.inputs[0]);
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         FetchUnblocked(context, node.inputs[0]));
  const std::vector<int64_t> s = DescribeLayout(source.desc)->strides;
  const int64_t channels = in[1] / (b * b);
  // Channels are (block row, block column, channel), or with CRD (channel,
  // block row, block column).
  const bool is_crd = node.StringOr("mode", "DCR") == "CRD";
  const int64_t row = is_crd ? b * s[1] : b * channels * s[1];
  const int64_t column = is_crd ? s[1] : channels * s[1];
  const int64_t channel = is_crd ? b * b * s[1] : s[1];
  LATHE_RETURN_IF_ERROR(LowerFold(context, node, source,
                                  {in[0], channels, in[2], b, in[3], b},
                                  {s[0], channel, s[2], row, s[3], column}));
  return true;
}

absl::StatusOr<bool> LowerExpand(LoweringContext& context, const Node& node) {
  const Shape& out = context.shape(node.outputs[0]);
  const Shape in = OfRank(out.size(), context.shape(node.inputs[0]));
  if (in == out) return LowerReshape(context, node);
  std::vector<int64_t> from = DenseStrides(in);
  for (size_t d = 0; d < in.size(); ++d) {
    if (in[d] == 1) from[d] = 0;
  }
  return LowerRepeat(context, node, out, from, DenseStrides(out));
}

absl::StatusOr<bool> LowerTile(LoweringContext& context, const Node& node) {
  const Shape& out = context.shape(node.outputs[0]);
  const Shape& in = context.shape(node.inputs[0]);
  if (in.size() != out.size()) return false;
  if (in == out) return LowerReshape(context, node);
  const std::vector<int64_t> in_strides = DenseStrides(in);
  const std::vector<int64_t> out_strides = DenseStrides(out);
  Shape walk;
  std::vector<int64_t> from;
  std::vector<int64_t> to;
  for (size_t d = 0; d < in.size(); ++d) {
    walk.insert(walk.end(), {out[d] / in[d], in[d]});
    from.insert(from.end(), {0, in_strides[d]});
    to.insert(to.end(), {out_strides[d] * in[d], out_strides[d]});
  }
  return LowerRepeat(context, node, walk, from, to);
}

}  // namespace lathe
