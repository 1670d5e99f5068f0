// Resize and Upsample of the spatial axes, and Pads of them with what is there,
// in the layout that a value lies in.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "compressor/resizing.h"
#include "evaluator/lower_ops.h"
#include "evaluator/movement.h"
#include "evaluator/resample.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

// Places of an axis, before and after, whose taps are worked out beforehand.
constexpr int64_t kMostPlaces = int64_t{1} << 16;

// None where the axis shows something outside of the input.
std::optional<AxisResampling> ResamplingOf(const Resizing& resizing,
                                           size_t axis, int64_t in) {
  AxisResampling resampling;
  resampling.in = in;
  resampling.out = resizing.out()[axis];
  std::vector<std::vector<ResizeTap>> places(resampling.out);
  for (int64_t p = 0; p < resampling.out; ++p) {
    places[p] = resizing.Keeps(axis) ? std::vector<ResizeTap>{{p, 1}}
                                     : resizing.TapsAt(axis, p);
    if (places[p].empty()) return std::nullopt;
    resampling.taps =
        std::max(resampling.taps, static_cast<int64_t>(places[p].size()));
  }
  // Where a place has fewer taps, its last one is halved and stands twice: a
  // tap of no weight would make an infinity NaN.
  resampling.indices.assign(resampling.taps * resampling.out, 0);
  resampling.weights.assign(resampling.taps * resampling.out, 0);
  for (int64_t p = 0; p < resampling.out; ++p) {
    for (int64_t t = 0; t < resampling.taps; ++t) {
      const int64_t at = t * resampling.out + p;
      const int64_t before = at - resampling.out;
      if (t < static_cast<int64_t>(places[p].size())) {
        resampling.indices[at] = static_cast<int32_t>(places[p][t].index);
        resampling.weights[at] = static_cast<float>(places[p][t].weight);
        continue;
      }
      resampling.indices[at] = resampling.indices[before];
      resampling.weights[before] /= 2;
      resampling.weights[at] = resampling.weights[before];
    }
  }
  return resampling;
}

bool IsNearest(const Resampling& resampling) {
  return std::all_of(resampling.axes.begin(), resampling.axes.end(),
                     [](const AxisResampling& axis) {
                       return axis.taps == 1 &&
                              std::all_of(axis.weights.begin(),
                                          axis.weights.end(),
                                          [](float w) { return w == 1; });
                     });
}

// None where the node does other than resample the spatial axes.
std::optional<Resampling> SpatialResampling(const Resizing& resizing,
                                            const Shape& in) {
  Resampling resampling;
  for (size_t d = 0; d < in.size(); ++d) {
    if (std::max(in[d], resizing.out()[d]) > kMostPlaces) return std::nullopt;
    if (d < 2) {
      if (!resizing.Keeps(d)) return std::nullopt;
      continue;
    }
    const auto axis = ResamplingOf(resizing, d, in[d]);
    if (!axis) return std::nullopt;
    resampling.axes[3 - in.size() + d] = *axis;
  }
  return resampling;
}

// What lies before and behind the spatial axes in memory that is laid out as
// `desc` is: row-major, channels last, or in blocks of channels.
void SetOuterAndInner(const MemoryDesc& desc, const Shape& shape,
                      Resampling* resampling) {
  const Layout layout = *DescribeLayout(desc);
  resampling->inner = layout.channel_block;
  if (layout.channel_block == 1 && !IsRowMajor(desc)) {
    resampling->inner = shape[1];
  }
  const int64_t inner = resampling->inner;
  resampling->outer = shape[0] * ((shape[1] + inner - 1) / inner);
}

// The same order of dimensions for another size, unfilled blocks included: the
// zeros in them are resampled too.
MemoryDesc ImageDesc(const MemoryDesc& like, const Shape& shape,
                     DataType type) {
  const int64_t block = DescribeLayout(like)->channel_block;
  return block == 8 || block == 16 ? BlockedDesc(shape, block, type)
                                   : DescLike(like, shape, type);
}

// Whether there are no gaps.
bool IsDenseImage(const Copy& copy, const Shape& shape) {
  return DescribeLayout(copy.desc) &&
         IsSameLayout(copy.desc,
                      ImageDesc(copy.desc, shape, copy.encoding.type));
}

bool IsImage(const LoweringContext& context, const Node& node) {
  const size_t rank = context.shape(node.inputs[0]).size();
  return context.type(node.inputs[0]) == DataType::kFloat32 && rank >= 3 &&
         rank <= 5 && node.post_ops.empty();
}

// Adds the steps of `node`; resampling.outer and inner are not set yet.
absl::Status AddResampling(LoweringContext& context, const Node& node,
                           Resampling resampling) {
  const ValueId input = node.inputs[0];
  const Shape& in = context.shape(input);
  const bool is_nearest = IsNearest(resampling);
  LATHE_ASSIGN_OR_RETURN(Copy source, context.Stored(input));
  if (!IsDenseImage(source, in)) {
    LATHE_ASSIGN_OR_RETURN(source,
                           context.Fetch(input, source.encoding,
                                         PlainDesc(in, source.encoding.type)));
  }
  if (!is_nearest) {
    LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                           WithType(source.desc, DataType::kFloat32));
    LATHE_ASSIGN_OR_RETURN(source, context.Fetch(input, FloatEncoding(), desc));
  }
  SetOuterAndInner(source.desc, in, &resampling);
  const Copy destination = context.NewCopy(
      source.encoding, ImageDesc(source.desc, context.shape(node.outputs[0]),
                                 source.encoding.type));
  const int64_t bytes = BytesOf(source.encoding);
  context.AddLoop(
      absl::AsciiStrToLower(node.op_type),
      is_nearest ? "copy" : VectorLoopIsa(),
      {Reads(source), Writes(destination)},
      [resampling, is_nearest, bytes](absl::Span<char* const> operands) {
        if (is_nearest) {
          MoveNearest(resampling, bytes, operands[0], operands[1]);
        } else {
          ResampleNumbers(resampling,
                          reinterpret_cast<const float*>(operands[0]),
                          reinterpret_cast<float*>(operands[1]));
        }
        return absl::OkStatus();
      });
  context.Define(node.outputs[0], destination);
  return absl::OkStatus();
}

// Which input place an output place of a padded axis shows.
int64_t PlaceInside(const std::string& mode, int64_t place, int64_t in) {
  if (mode == "edge") return std::clamp<int64_t>(place, 0, in - 1);
  if (mode == "wrap") return (place % in + in) % in;
  if (in == 1) return 0;
  const int64_t period = 2 * (in - 1);
  const int64_t inside = (place % period + period) % period;
  return std::min(inside, period - inside);
}

AxisResampling PaddedAxis(const std::string& mode, int64_t in, int64_t out,
                          int64_t begin) {
  AxisResampling axis;
  axis.in = in;
  axis.out = out;
  axis.indices.resize(out);
  axis.weights.assign(out, 1);
  for (int64_t p = 0; p < out; ++p) {
    axis.indices[p] = static_cast<int32_t>(PlaceInside(mode, p - begin, in));
  }
  return axis;
}

}  // namespace

absl::StatusOr<bool> LowerResize(LoweringContext& context, const Node& node) {
  const Shape& in = context.shape(node.inputs[0]);
  if (!IsImage(context, node)) return false;
  std::vector<const Tensor*> constants;
  for (ValueId value : node.inputs) {
    constants.push_back(context.constant(value));
  }
  LATHE_ASSIGN_OR_RETURN(
      const Resizing resizing,
      Resizing::Resolve(node, context.graph().parts().opset, in, constants));
  const std::optional<Resampling> resampling = SpatialResampling(resizing, in);
  if (!resampling) return false;
  LATHE_RETURN_IF_ERROR(AddResampling(context, node, *resampling));
  return true;
}

absl::StatusOr<bool> LowerPadByPlaces(LoweringContext& context,
                                      const Node& node) {
  const std::string mode = node.StringOr("mode", "constant");
  if (mode == "constant" || !IsImage(context, node)) return false;
  const Shape& in = context.shape(node.inputs[0]);
  const Shape& out = context.shape(node.outputs[0]);
  std::vector<int64_t> all_axes(in.size());
  for (size_t d = 0; d < in.size(); ++d) all_axes[d] = static_cast<int64_t>(d);
  const auto pads = ConstantIntegers(context, node, 1, "pads", {});
  const auto axes = ConstantIntegers(context, node, 3, "axes", all_axes);
  if (!pads || !axes || pads->size() != 2 * axes->size()) return false;
  std::vector<int64_t> begin(in.size(), 0);
  for (size_t i = 0; i < axes->size(); ++i) {
    const auto rank = static_cast<int64_t>(in.size());
    begin[((*axes)[i] + rank) % rank] = (*pads)[i];
  }
  Resampling resampling;
  for (size_t d = 0; d < in.size(); ++d) {
    if (d < 2 && (begin[d] != 0 || in[d] != out[d])) return false;
    if (d < 2) continue;
    if (out[d] > kMostPlaces) return false;
    resampling.axes[3 - in.size() + d] =
        PaddedAxis(mode, in[d], out[d], begin[d]);
  }
  LATHE_RETURN_IF_ERROR(AddResampling(context, node, resampling));
  return true;
}

}  // namespace lathe
