#include "evaluator/movement.h"

#include <algorithm>

#include "evaluator/storage.h"

namespace lathe {
namespace {

std::vector<int64_t> Iota(size_t count) {
  std::vector<int64_t> axes(count);
  for (size_t i = 0; i < count; ++i) axes[i] = static_cast<int64_t>(i);
  return axes;
}

// First element that a slice takes, as ONNX clamps it.
int64_t ClampedStart(int64_t start, int64_t step, int64_t size) {
  if (start < 0) start += size;
  if (step > 0) return std::clamp<int64_t>(start, 0, size);
  return std::clamp<int64_t>(start, 0, size - 1);
}

std::optional<float> PadValue(const LoweringContext& context,
                              const Node& node) {
  if (node.inputs.size() < 3 || node.inputs[2] == kNoValue) {
    return node.FloatOr("value", 0);
  }
  const Tensor* tensor = context.constant(node.inputs[2]);
  if (tensor == nullptr || tensor->type() != DataType::kFloat32 ||
      tensor->size() != 1) {
    return std::nullopt;
  }
  return tensor->values<float>()[0];
}

}  // namespace

std::optional<std::vector<int64_t>> ConstantIntegers(
    const LoweringContext& context, const Node& node, size_t index,
    const std::string& name, std::vector<int64_t> fallback) {
  const bool is_input =
      index < node.inputs.size() && node.inputs[index] != kNoValue;
  if (!is_input) return node.IntsOr(name, std::move(fallback));
  const Tensor* tensor = context.constant(node.inputs[index]);
  if (tensor == nullptr) return std::nullopt;
  if (tensor->type() == DataType::kInt64) {
    const auto values = tensor->values<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  if (tensor->type() == DataType::kInt32) {
    const auto values = tensor->values<int32_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  return std::nullopt;
}

std::optional<SliceSpec> ParseSlice(const LoweringContext& context,
                                    const Node& node) {
  const Shape& shape = context.shape(node.inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (context.type(node.inputs[0]) != DataType::kFloat32 || rank == 0) {
    return std::nullopt;
  }
  const auto starts = ConstantIntegers(context, node, 1, "starts", {});
  if (!starts) return std::nullopt;
  const auto axes =
      ConstantIntegers(context, node, 3, "axes", Iota(starts->size()));
  const auto steps = ConstantIntegers(context, node, 4, "steps",
                                      std::vector<int64_t>(starts->size(), 1));
  if (!axes || !steps) return std::nullopt;
  SliceSpec slice{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1)};
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t d = ((*axes)[i] + rank) % rank;
    slice.steps[d] = (*steps)[i];
    slice.starts[d] = ClampedStart((*starts)[i], (*steps)[i], shape[d]);
  }
  return slice;
}

std::optional<PadSpec> ParsePad(const LoweringContext& context,
                                const Node& node) {
  const ValueId input = node.inputs[0];
  const int64_t rank = static_cast<int64_t>(context.shape(input).size());
  if (context.type(input) != DataType::kFloat32 || rank == 0 ||
      node.StringOr("mode", "constant") != "constant" ||
      !node.post_ops.empty() || ElementCount(context.shape(input)) == 0) {
    return std::nullopt;
  }
  const auto pads = ConstantIntegers(context, node, 1, "pads", {});
  const auto axes = ConstantIntegers(context, node, 3, "axes", Iota(rank));
  const auto value = PadValue(context, node);
  if (!pads || !axes || !value || pads->size() != 2 * axes->size()) {
    return std::nullopt;
  }
  PadSpec spec{std::vector<int64_t>(rank, 0), *value};
  for (size_t i = 0; i < axes->size(); ++i) {
    const int64_t end = (*pads)[i + axes->size()];
    if ((*pads)[i] < 0 || end < 0) return std::nullopt;
    spec.begin[((*axes)[i] + rank) % rank] = (*pads)[i];
  }
  return spec;
}

MemoryDesc DescLike(const MemoryDesc& like, absl::Span<const int64_t> shape,
                    DataType type) {
  const std::optional<Layout> layout = DescribeLayout(like);
  if (!layout || layout->dims.size() != shape.size() || shape.size() < 3 ||
      shape.size() > 5) {
    return PlainDesc(shape, type);
  }
  const bool is_filled = shape[1] % layout->channel_block == 0;
  if (is_filled &&
      (layout->channel_block == 8 || layout->channel_block == 16)) {
    return BlockedDesc(shape, layout->channel_block, type);
  }
  if (layout->channel_block > 1) return ChannelsLastDesc(shape, type);
  // Channels are innermost, or there is but one of them.
  const bool is_channels_last =
      layout->strides[1] == 1 && layout->strides.back() != 1;
  return is_channels_last ? ChannelsLastDesc(shape, type)
                          : PlainDesc(shape, type);
}

std::optional<int64_t> ContiguousPlace(const Layout& part, const Layout& whole,
                                       int64_t axis, int64_t start) {
  if (part.channel_block != whole.channel_block) return std::nullopt;
  const int64_t block = part.channel_block;
  for (size_t d = 0; d < part.dims.size(); ++d) {
    const bool is_one_step = part.dims[d] <= (d == 1 ? block : 1);
    if (!is_one_step && part.strides[d] != whole.strides[d]) {
      return std::nullopt;
    }
  }
  if (axis != 1) return start * whole.strides[axis];
  if (start % block != 0) return std::nullopt;
  return start / block * whole.strides[1];
}

}  // namespace lathe
