#include "compressor/resizing.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

// The scales as doubles: input `i` or the attribute of Upsample 7.
absl::StatusOr<std::vector<double>> ScalesOf(const OpCall& call, int i) {
  if (!call.Has(i)) {
    const auto found = call.node().attributes.find("scales");
    if (found != call.node().attributes.end()) {
      if (const auto* floats =
              std::get_if<std::vector<float>>(&found->second)) {
        return std::vector<double>(floats->begin(), floats->end());
      }
    }
    return std::vector<double>();
  }
  if (call.TypeOf(i) != DataType::kFloat32) {
    return call.Invalid("the scales are not float32");
  }
  if (!call.IsKnown(i)) {
    return call.Unsupported("the scales depend on the data");
  }
  const auto values = call.ValuesOf<float>(i);
  return std::vector<double>(values.begin(), values.end());
}

// One scale for all axes, so that the image keeps its proportions.
double CommonScale(const Shape& in, const std::vector<int64_t>& axes,
                   const std::vector<int64_t>& sizes, bool is_larger) {
  double common = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double scale = static_cast<double>(sizes[i]) / in[axes[i]];
    common = i == 0      ? scale
             : is_larger ? std::max(common, scale)
                         : std::min(common, scale);
  }
  return common;
}

// The axes that sizes and scales are for.
absl::StatusOr<std::vector<int64_t>> ResizedAxes(const OpCall& call) {
  std::vector<int64_t> axes;
  for (int64_t d = 0; d < call.Rank(0); ++d) axes.push_back(d);
  if (!call.HasAttribute("axes")) return axes;
  axes = call.node().IntsOr("axes", {});
  LATHE_RETURN_IF_ERROR(NormalizeAxes(call, axes, call.Rank(0)).status());
  for (int64_t& axis : axes) axis = axis < 0 ? axis + call.Rank(0) : axis;
  return axes;
}

// Keys' cubic kernel with parameter a.
double CubicWeight(double a, double distance) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

}  // namespace

absl::Status Resizing::ReadScales(const OpCall& call,
                                  const std::vector<int64_t>& axes, int input) {
  LATHE_ASSIGN_OR_RETURN(const auto scales, ScalesOf(call, input));
  if (scales.size() != axes.size()) {
    return call.Invalid(
        absl::StrCat(scales.size(), " scales for ", axes.size(), " axes"));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const double size = std::floor(out_[axes[i]] * scales[i]);
    if (!(scales[i] > 0) || !(size <= 2147483648.0)) {
      return call.Invalid(absl::StrCat("scale = ", scales[i]));
    }
    out_[axes[i]] = static_cast<int64_t>(size);
    scales_[axes[i]] = scales[i];
  }
  return absl::OkStatus();
}

absl::Status Resizing::ReadSizes(const OpCall& call,
                                 const std::vector<int64_t>& axes) {
  LATHE_ASSIGN_OR_RETURN(const auto sizes, call.IntsOf(3, "sizes"));
  if (sizes.size() != axes.size()) {
    return call.Invalid(
        absl::StrCat(sizes.size(), " sizes for ", axes.size(), " axes"));
  }
  const std::string policy =
      call.node().StringOr("keep_aspect_ratio_policy", "stretch");
  const double common = CommonScale(in_, axes, sizes, policy == "not_smaller");
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t in = in_[axes[i]];
    const double size = policy == "stretch" ? static_cast<double>(sizes[i])
                                            : std::round(common * in);
    if (!(size >= 0 && size <= 2147483648.0)) {
      return call.Invalid(absl::StrCat("size = ", sizes[i]));
    }
    out_[axes[i]] = static_cast<int64_t>(size);
    scales_[axes[i]] = policy == "stretch" ? size / in : common;
  }
  return absl::OkStatus();
}

absl::Status Resizing::CheckModes(const OpCall& call) const {
  if (mode_ != "nearest" && mode_ != "linear" && mode_ != "cubic") {
    return call.Unsupported(absl::StrCat("mode = \"", mode_, "\""));
  }
  for (const char* known : {"half_pixel", "half_pixel_symmetric",
                            "pytorch_half_pixel", "align_corners", "asymmetric",
                            "tf_half_pixel_for_nn", "tf_crop_and_resize"}) {
    if (coordinates_ == known) return absl::OkStatus();
  }
  return call.Unsupported(
      absl::StrCat("coordinate_transformation_mode = \"", coordinates_, "\""));
}

absl::Status Resizing::ReadCrop(const OpCall& call,
                                const std::vector<int64_t>& axes) {
  if (!call.Has(1) || call.TypeOf(1) != DataType::kFloat32) {
    return call.Invalid("tf_crop_and_resize wants a float32 roi (input 1)");
  }
  if (!call.IsKnown(1)) {
    return call.Unsupported("the roi depends on the data; use a constant one");
  }
  const auto roi = call.ValuesOf<float>(1);
  if (roi.size() != 2 * axes.size()) {
    return call.Invalid(absl::StrCat("roi has ", roi.size(), " numbers for ",
                                     axes.size(), " axes"));
  }
  crop_begin_.assign(out_.size(), 0);
  crop_end_.assign(out_.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    crop_begin_[axes[i]] = roi[i];
    crop_end_[axes[i]] = roi[i + axes.size()];
  }
  return absl::OkStatus();
}

absl::StatusOr<Resizing> Resizing::Resolve(const OpCall& call) {
  const Node& node = call.node();
  const bool is_old = node.op_type == "Upsample" || call.opset() < 11;
  Resizing resizing;
  resizing.in_ = resizing.out_ = call.ShapeOf(0);
  resizing.scales_.assign(call.Rank(0), 1.0);
  resizing.mode_ = node.StringOr("mode", "nearest");
  resizing.coordinates_ =
      is_old ? "asymmetric"
             : node.StringOr("coordinate_transformation_mode", "half_pixel");
  resizing.nearest_ =
      is_old ? "floor" : node.StringOr("nearest_mode", "round_prefer_floor");
  resizing.smooths_ = node.IntOr("antialias", 0) != 0;
  resizing.excludes_outside_ = node.IntOr("exclude_outside", 0) != 0;
  resizing.cubic_ = node.FloatOr("cubic_coeff_a", -0.75f);
  resizing.extrapolated_ = node.FloatOr("extrapolation_value", 0);
  LATHE_RETURN_IF_ERROR(resizing.CheckModes(call));
  for (const int64_t size : resizing.in_) {
    if (size == 0) return call.Invalid("the input is empty");
  }
  LATHE_ASSIGN_OR_RETURN(const auto axes, ResizedAxes(call));
  LATHE_RETURN_IF_ERROR(call.Has(3)
                            ? resizing.ReadSizes(call, axes)
                            : resizing.ReadScales(call, axes, is_old ? 1 : 2));
  if (resizing.coordinates_ == "tf_crop_and_resize") {
    LATHE_RETURN_IF_ERROR(resizing.ReadCrop(call, axes));
  }
  return resizing;
}

absl::StatusOr<Resizing> Resizing::Resolve(
    const Node& node, int64_t opset, const Shape& in,
    absl::Span<const Tensor* const> inputs) {
  std::vector<OpInput> op_inputs(inputs.size());
  op_inputs[0] = {true, {DataType::kFloat32, in}, nullptr};
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr) continue;
    op_inputs[i] = {true, {inputs[i]->type(), inputs[i]->shape()}, inputs[i]};
  }
  return Resolve(OpCall(node, opset, std::move(op_inputs)));
}

bool Resizing::Keeps(size_t axis) const {
  return scales_[axis] == 1 && out_[axis] == in_[axis] && crop_begin_.empty();
}

double Resizing::SourceCoordinate(size_t axis, int64_t place) const {
  const int64_t in = in_[axis];
  const int64_t out = out_[axis];
  const double scale = scales_[axis];
  if (coordinates_ == "asymmetric") return place / scale;
  if (!crop_begin_.empty()) {
    const double begin = crop_begin_[axis] * (in - 1);
    const double length = crop_end_[axis] * (in - 1) - begin;
    return out == 1 ? begin + length / 2 : begin + place * length / (out - 1);
  }
  if (coordinates_ == "align_corners") {
    return out == 1 ? 0.0 : static_cast<double>(place) * (in - 1) / (out - 1);
  }
  if (coordinates_ == "pytorch_half_pixel" && out == 1) return 0.0;
  if (coordinates_ == "tf_half_pixel_for_nn") return (place + 0.5) / scale;
  if (coordinates_ == "half_pixel_symmetric") {
    const double adjustment = out / (scale * in);
    const double centre = in / 2.0;
    return centre * (1 - adjustment) + (place + 0.5) / scale - 0.5;
  }
  return (place + 0.5) / scale - 0.5;
}

int64_t Resizing::NearestIndex(double x) const {
  if (nearest_ == "floor") return static_cast<int64_t>(std::floor(x));
  if (nearest_ == "ceil") return static_cast<int64_t>(std::ceil(x));
  if (nearest_ == "round_prefer_ceil") {
    return static_cast<int64_t>(std::floor(x + 0.5));
  }
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

// The taps of a kernel that reaches `reach` to both sides of x, stretched by
// 1 / `squeeze` so that it covers what shrinking leaves out.
template <typename Weight>
std::vector<ResizeTap> Resizing::KernelTaps(double x, int64_t reach,
                                            double squeeze, int64_t in,
                                            Weight weight) const {
  std::vector<ResizeTap> taps;
  double sum = 0;
  const int64_t first = static_cast<int64_t>(
      std::floor(x - static_cast<double>(reach) / squeeze));
  const int64_t last =
      static_cast<int64_t>(std::ceil(x + static_cast<double>(reach) / squeeze));
  for (int64_t k = first; k <= last; ++k) {
    const double value = weight((static_cast<double>(k) - x) * squeeze);
    const bool is_outside = k < 0 || k >= in;
    if (value == 0 || (excludes_outside_ && is_outside)) continue;
    taps.push_back({k, value});
    sum += value;
  }
  for (ResizeTap& tap : taps) tap.weight /= sum;
  return taps;
}

std::vector<ResizeTap> Resizing::TapsAt(size_t axis, int64_t place) const {
  const int64_t in = in_[axis];
  const double x = SourceCoordinate(axis, place);
  if (!crop_begin_.empty() && (x < 0 || x > static_cast<double>(in - 1))) {
    return {};
  }
  const double squeeze = smooths_ ? std::min(scales_[axis], 1.0) : 1.0;
  std::vector<ResizeTap> taps;
  if (mode_ == "nearest") {
    taps = {{NearestIndex(x), 1.0}};
  } else if (mode_ == "linear") {
    taps = KernelTaps(x, 1, squeeze, in, [](double distance) {
      return std::max(0.0, 1 - std::abs(distance));
    });
  } else {
    taps = KernelTaps(x, 2, squeeze, in, [this](double distance) {
      return CubicWeight(cubic_, distance);
    });
  }
  for (ResizeTap& tap : taps) {
    tap.index = std::min(std::max<int64_t>(tap.index, 0), in - 1);
  }
  return taps;
}

}  // namespace lathe
