// Reshape and its kin, Slice, Split, Pad and Concat.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "base/status.h"
#include "evaluator/lower_ops.h"
#include "evaluator/movement.h"
#include "evaluator/region_copy.h"

namespace lathe {
namespace {

bool IsSingleReaderPad(const LoweringContext& context, ValueId value,
                       const Encoding& encoding) {
  const Graph& graph = context.graph();
  const auto& consumers = graph.Consumers(value);
  if (consumers.size() != 1 || graph.IsOutput(value)) return false;
  const Node& pad = graph.nodes()[consumers[0]];
  const auto& grid = context.grid(value);
  if (grid && !(EncodingOf(*grid) == encoding)) return false;
  return pad.op_type == "Pad" && pad.domain.empty() && pad.inputs[0] == value &&
         ParsePad(context, pad).has_value();
}

// One byte repeated, or the element's own bytes.
std::string PadBytes(const Encoding& encoding, float value) {
  if (encoding.IsLevels()) {
    return std::string(1, static_cast<char>(encoding.zero_point));
  }
  std::string bytes(sizeof(value), 0);
  std::memcpy(&bytes[0], &value, sizeof(value));
  return encoding.type == DataType::kFloat32 ? bytes : bytes.substr(2);
}

void Fill(const std::string& pattern, int64_t bytes, char* destination) {
  const bool is_uniform =
      std::all_of(pattern.begin(), pattern.end(),
                  [&](char byte) { return byte == pattern.front(); });
  if (is_uniform) {
    std::memset(destination, pattern.front(), bytes);
    return;
  }
  for (int64_t i = 0; i < bytes; i += pattern.size()) {
    std::copy(pattern.begin(), pattern.end(), destination + i);
  }
}

// bfloat16 and levels hold 0 exactly, other values perhaps not.
bool HoldsExactly(const Encoding& encoding, float value) {
  return value == 0 || encoding.type == DataType::kFloat32;
}

// What a step reads: a copy of a value and the slice of it that is wanted.
struct SlicedSource {
  ValueId value = kNoValue;
  SliceSpec slice;
};

// Sees through a deferred Slice.
SlicedSource SourceOf(const LoweringContext& context, ValueId value) {
  if (context.IsDeferred(value)) {
    const Node& slice =
        context.graph().nodes()[*context.graph().Producer(value)];
    return {slice.inputs[0], *ParseSlice(context, slice)};
  }
  const size_t rank = context.shape(value).size();
  return {value,
          {std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1)}};
}

// The value as it lies if its layout can be described, else row-major.
absl::StatusOr<Copy> FetchDescribed(LoweringContext& context, ValueId value) {
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(value));
  if (DescribeLayout(stored.desc)) return stored;
  return context.Fetch(value, stored.encoding,
                       PlainDesc(context.shape(value), stored.encoding.type));
}

absl::Status LowerOnePart(LoweringContext& context, ValueId input,
                          const Copy& whole, int64_t axis, int64_t start) {
  const Shape& shape = context.shape(input);
  std::vector<int64_t> offsets(shape.size(), 0);
  offsets[axis] = start;
  const std::optional<Layout> layout = DescribeLayout(whole.desc);
  LATHE_ASSIGN_OR_RETURN(const Encoding encoding,
                         context.StoredEncoding(input));
  if (!(encoding == whole.encoding)) {
    LATHE_ASSIGN_OR_RETURN(const MemoryDesc region,
                           RegionDesc(whole.desc, shape, offsets));
    LATHE_ASSIGN_OR_RETURN(const Copy source, context.Stored(input));
    return context.AddReorder(source, {whole.encoding, region, whole.location});
  }
  LATHE_ASSIGN_OR_RETURN(const Copy source, FetchDescribed(context, input));
  const int64_t bytes = BytesOf(encoding);
  const std::optional<Layout> from = DescribeLayout(source.desc);
  const auto place = ContiguousPlace(*from, *layout, axis, start);
  if (place && context.TryPlaceInside(source, whole, *place * bytes)) {
    return absl::OkStatus();
  }
  const std::vector<int64_t> zeros(shape.size(), 0);
  const std::vector<int64_t> ones(shape.size(), 1);
  const RegionCopier copier(
      {*from, *layout, shape, zeros, ones, offsets, bytes});
  context.AddLoop("concat", "copy", {Reads(source), Writes(whole)},
                  [copier](absl::Span<char* const> operands) {
                    copier.Run(operands[0], operands[1]);
                    return absl::OkStatus();
                  });
  return absl::OkStatus();
}

// Where a slice begins, in elements, if its elements lie in `whole` as they lie
// in `part`.
std::optional<int64_t> PlaceOfSlice(const Layout& part, const Layout& whole,
                                    const SliceSpec& slice) {
  if (whole.channel_block > 1 && part.dims[1] % whole.channel_block != 0) {
    return std::nullopt;  // What is read behind the channels has to be zeros.
  }
  int64_t place = 0;
  for (size_t d = 0; d < part.dims.size(); ++d) {
    if (slice.steps[d] != 1 && part.dims[d] > 1) return std::nullopt;
    const auto along =
        ContiguousPlace(part, whole, static_cast<int64_t>(d), slice.starts[d]);
    if (!along) return std::nullopt;
    place += *along;
  }
  return place;
}

// `output` becomes that slice of `input`: the same memory if it can.
absl::Status LowerBox(LoweringContext& context, ValueId input, ValueId output,
                      const SliceSpec& slice) {
  LATHE_ASSIGN_OR_RETURN(const Copy source, FetchDescribed(context, input));
  const Shape& shape = context.shape(output);
  const MemoryDesc desc = DescLike(source.desc, shape, source.encoding.type);
  const Layout whole = *DescribeLayout(source.desc);
  const Layout part = *DescribeLayout(desc);
  const int64_t bytes = BytesOf(source.encoding);
  if (const auto place = PlaceOfSlice(part, whole, slice)) {
    Copy view{source.encoding, desc, source.location};
    view.location.offset += *place * bytes;
    context.DefineAlias(output, view);
    return absl::OkStatus();
  }
  const Copy destination = context.NewCopy(source.encoding, desc);
  const RegionCopier copier({whole, part, shape, slice.starts, slice.steps,
                             std::vector<int64_t>(shape.size(), 0), bytes});
  context.AddLoop("slice", "copy", {Reads(source), Writes(destination)},
                  [copier](absl::Span<char* const> operands) {
                    copier.Run(operands[0], operands[1]);
                    return absl::OkStatus();
                  });
  context.Define(output, destination);
  return absl::OkStatus();
}

// The grid of the output; else what all inputs have in common; else float32.
absl::StatusOr<Encoding> ConcatEncoding(const LoweringContext& context,
                                        const Node& node) {
  const auto& grid = context.grid(node.outputs[0]);
  if (grid) return EncodingOf(*grid);
  LATHE_ASSIGN_OR_RETURN(const Encoding first,
                         context.StoredEncoding(node.inputs[0]));
  for (ValueId input : node.inputs) {
    LATHE_ASSIGN_OR_RETURN(const Encoding other, context.StoredEncoding(input));
    if (!(other == first)) return FloatEncoding();
  }
  return first;
}

// The layout of most of the data, if all parts start at whole blocks.
absl::StatusOr<MemoryDesc> ConcatDesc(LoweringContext& context,
                                      const Node& node, int64_t axis,
                                      DataType type) {
  ValueId largest = node.inputs[0];
  for (ValueId input : node.inputs) {
    if (ElementCount(context.shape(input)) >
        ElementCount(context.shape(largest))) {
      largest = input;
    }
  }
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(largest));
  const Shape& shape = context.shape(node.outputs[0]);
  const std::optional<Layout> layout = DescribeLayout(stored.desc);
  const int64_t block = layout ? layout->channel_block : 1;
  for (ValueId input : node.inputs) {
    if (block > 1 && context.shape(input)[1] % block != 0) {
      return ChannelsLastDesc(shape, type);
    }
  }
  return DescLike(stored.desc, shape, type);
}

}  // namespace

absl::StatusOr<bool> LowerReshape(LoweringContext& context, const Node& node) {
  const ValueId input = node.inputs[0];
  const ValueId output = node.outputs[0];
  if (!node.post_ops.empty() || context.type(input) != context.type(output)) {
    return false;
  }
  if (context.type(input) != DataType::kFloat32) {
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(input));
    context.Define(output, copy);
    return true;
  }
  LATHE_ASSIGN_OR_RETURN(Copy copy, context.Stored(input));
  const Shape& shape = context.shape(output);
  if (context.shape(input) != shape) {
    if (!IsRowMajor(copy.desc)) {
      LATHE_ASSIGN_OR_RETURN(
          copy,
          context.Fetch(input, copy.encoding,
                        PlainDesc(context.shape(input), copy.encoding.type)));
    }
    copy.desc = PlainDesc(shape, copy.encoding.type);
  }
  context.Define(output, copy);
  return true;
}

absl::StatusOr<bool> LowerSlice(LoweringContext& context, const Node& node) {
  const ValueId input = node.inputs[0];
  const ValueId output = node.outputs[0];
  const std::optional<SliceSpec> slice = ParseSlice(context, node);
  if (!slice || ElementCount(context.shape(output)) == 0) return false;
  LATHE_ASSIGN_OR_RETURN(const Encoding encoding,
                         context.StoredEncoding(input));
  if (IsSingleReaderPad(context, output, encoding)) {
    context.Defer(output);
    return true;
  }
  LATHE_RETURN_IF_ERROR(LowerBox(context, input, output, *slice));
  return true;
}

absl::StatusOr<bool> LowerSplit(LoweringContext& context, const Node& node) {
  const ValueId input = node.inputs[0];
  const int64_t rank = static_cast<int64_t>(context.shape(input).size());
  if (context.type(input) != DataType::kFloat32 || rank == 0) return false;
  const int64_t axis = (node.IntOr("axis", 0) + rank) % rank;
  SliceSpec piece{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1)};
  for (ValueId output : node.outputs) {
    if (output == kNoValue) return false;
    LATHE_RETURN_IF_ERROR(LowerBox(context, input, output, piece));
    piece.starts[axis] += context.shape(output)[axis];
  }
  return true;
}

absl::StatusOr<bool> LowerPad(LoweringContext& context, const Node& node) {
  const ValueId output = node.outputs[0];
  const std::optional<PadSpec> pad = ParsePad(context, node);
  if (!pad) return LowerPadByPlaces(context, node);
  const SlicedSource sliced = SourceOf(context, node.inputs[0]);
  LATHE_ASSIGN_OR_RETURN(Copy source, FetchDescribed(context, sliced.value));
  if (!HoldsExactly(source.encoding, pad->value)) {
    LATHE_ASSIGN_OR_RETURN(source,
                           context.Fetch(sliced.value, FloatEncoding(),
                                         PlainDesc(context.shape(sliced.value),
                                                   DataType::kFloat32)));
  }
  const Copy destination = context.NewCopy(
      source.encoding,
      DescLike(source.desc, context.shape(output), source.encoding.type));
  const RegionCopier copier(
      {*DescribeLayout(source.desc), *DescribeLayout(destination.desc),
       context.shape(node.inputs[0]), sliced.slice.starts, sliced.slice.steps,
       pad->begin, BytesOf(source.encoding)});
  const std::string pattern = PadBytes(source.encoding, pad->value);
  const int64_t bytes = DescBytes(destination.desc);
  context.AddLoop("pad", "copy", {Reads(source), Writes(destination)},
                  [copier, pattern, bytes](absl::Span<char* const> operands) {
                    Fill(pattern, bytes, operands[1]);
                    copier.Run(operands[0], operands[1]);
                    return absl::OkStatus();
                  });
  context.Define(output, destination);
  return true;
}

absl::StatusOr<bool> LowerConcat(LoweringContext& context, const Node& node) {
  const ValueId output = node.outputs[0];
  const Shape& shape = context.shape(output);
  if (context.type(output) != DataType::kFloat32 || shape.empty() ||
      !node.post_ops.empty() || ElementCount(shape) == 0) {
    return false;
  }
  for (ValueId input : node.inputs) {
    if (ElementCount(context.shape(input)) == 0) return false;
  }
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = (node.IntOr("axis", 1) + rank) % rank;
  LATHE_ASSIGN_OR_RETURN(const Encoding encoding,
                         ConcatEncoding(context, node));
  LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                         ConcatDesc(context, node, axis, encoding.type));
  const Copy whole = context.NewCopy(encoding, desc);
  context.Define(output, whole);
  int64_t start = 0;
  for (ValueId input : node.inputs) {
    LATHE_RETURN_IF_ERROR(LowerOnePart(context, input, whole, axis, start));
    start += context.shape(input)[axis];
  }
  return true;
}

}  // namespace lathe
