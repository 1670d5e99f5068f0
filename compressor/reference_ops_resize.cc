// Resize and Upsample: separable, so each axis is resampled for itself, every
// output element being a weighted sum of a few input elements.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

struct ResizePlan {
  Shape out;
  // Output size / input size as the model says it, by axis.
  std::vector<double> scales;
  std::string mode;
  std::string coordinates;
  std::string nearest;
  // Whether shrinking averages over all that it leaves out.
  bool smooths = false;
  // For tf_crop_and_resize: the region to resample, by axis, as shares of the
  // input.
  std::vector<double> crop_begin;
  std::vector<double> crop_end;
};

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
  if (!call.IsKnown(i))
    return call.Unsupported("the scales depend on the data");
  const auto values = call.ValuesOf<float>(i);
  return std::vector<double>(values.begin(), values.end());
}

absl::Status ApplyScales(const OpCall& call, const std::vector<int64_t>& axes,
                         const std::vector<double>& scales, ResizePlan& plan) {
  if (scales.size() != axes.size()) {
    return call.Invalid(
        absl::StrCat(scales.size(), " scales for ", axes.size(), " axes"));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const double size = std::floor(plan.out[axes[i]] * scales[i]);
    if (!(scales[i] > 0) || !(size <= 2147483648.0)) {
      return call.Invalid(absl::StrCat("scale = ", scales[i]));
    }
    plan.out[axes[i]] = static_cast<int64_t>(size);
    plan.scales[axes[i]] = scales[i];
  }
  return absl::OkStatus();
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

absl::Status ApplySizes(const OpCall& call, const std::vector<int64_t>& axes,
                        const std::vector<int64_t>& sizes, ResizePlan& plan) {
  if (sizes.size() != axes.size()) {
    return call.Invalid(
        absl::StrCat(sizes.size(), " sizes for ", axes.size(), " axes"));
  }
  const std::string policy =
      call.node().StringOr("keep_aspect_ratio_policy", "stretch");
  const double common =
      CommonScale(call.ShapeOf(0), axes, sizes, policy == "not_smaller");
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t in = call.ShapeOf(0)[axes[i]];
    const double size = policy == "stretch" ? static_cast<double>(sizes[i])
                                            : std::round(common * in);
    if (!(size >= 0 && size <= 2147483648.0)) {
      return call.Invalid(absl::StrCat("size = ", sizes[i]));
    }
    plan.out[axes[i]] = static_cast<int64_t>(size);
    plan.scales[axes[i]] = policy == "stretch" ? size / in : common;
  }
  return absl::OkStatus();
}

absl::Status CheckModes(const OpCall& call, const ResizePlan& plan) {
  if (plan.mode != "nearest" && plan.mode != "linear" && plan.mode != "cubic") {
    return call.Unsupported(absl::StrCat("mode = \"", plan.mode, "\""));
  }
  for (const char* known : {"half_pixel", "half_pixel_symmetric",
                            "pytorch_half_pixel", "align_corners", "asymmetric",
                            "tf_half_pixel_for_nn", "tf_crop_and_resize"}) {
    if (plan.coordinates == known) return absl::OkStatus();
  }
  return call.Unsupported(absl::StrCat("coordinate_transformation_mode = \"",
                                       plan.coordinates, "\""));
}

absl::Status ReadCrop(const OpCall& call, const std::vector<int64_t>& axes,
                      ResizePlan& plan) {
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
  plan.crop_begin.assign(plan.out.size(), 0);
  plan.crop_end.assign(plan.out.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    plan.crop_begin[axes[i]] = roi[i];
    plan.crop_end[axes[i]] = roi[i + axes.size()];
  }
  return absl::OkStatus();
}

absl::StatusOr<ResizePlan> ResolveResize(const OpCall& call) {
  const bool is_old = call.node().op_type == "Upsample" || call.opset() < 11;
  ResizePlan plan;
  plan.out = call.ShapeOf(0);
  plan.scales.assign(call.Rank(0), 1.0);
  plan.mode = call.node().StringOr("mode", "nearest");
  plan.coordinates = is_old
                         ? "asymmetric"
                         : call.node().StringOr(
                               "coordinate_transformation_mode", "half_pixel");
  plan.nearest =
      is_old ? "floor"
             : call.node().StringOr("nearest_mode", "round_prefer_floor");
  LATHE_RETURN_IF_ERROR(CheckModes(call, plan));
  for (const int64_t size : plan.out) {
    if (size == 0) return call.Invalid("the input is empty");
  }
  std::vector<int64_t> axes;
  for (int64_t d = 0; d < call.Rank(0); ++d) axes.push_back(d);
  if (call.HasAttribute("axes")) {
    axes = call.node().IntsOr("axes", {});
    LATHE_RETURN_IF_ERROR(NormalizeAxes(call, axes, call.Rank(0)).status());
    for (int64_t& axis : axes) axis = axis < 0 ? axis + call.Rank(0) : axis;
  }
  if (call.Has(3)) {
    LATHE_ASSIGN_OR_RETURN(const auto sizes, call.IntsOf(3, "sizes"));
    LATHE_RETURN_IF_ERROR(ApplySizes(call, axes, sizes, plan));
  } else {
    LATHE_ASSIGN_OR_RETURN(const auto scales, ScalesOf(call, is_old ? 1 : 2));
    LATHE_RETURN_IF_ERROR(ApplyScales(call, axes, scales, plan));
  }
  plan.smooths = call.node().IntOr("antialias", 0) != 0;
  if (plan.coordinates == "tf_crop_and_resize") {
    LATHE_RETURN_IF_ERROR(ReadCrop(call, axes, plan));
  }
  return plan;
}

absl::StatusOr<Values> ResizeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(ResizePlan plan, ResolveResize(call));
  return Values{{DataType::kFloat32, std::move(plan.out)}};
}

// Where output index `o` lies on the input's axis.
double SourceCoordinate(const ResizePlan& plan, size_t axis, int64_t in,
                        int64_t o) {
  const int64_t out = plan.out[axis];
  const double scale = plan.scales[axis];
  if (plan.coordinates == "asymmetric") return o / scale;
  if (!plan.crop_begin.empty()) {
    const double begin = plan.crop_begin[axis] * (in - 1);
    const double length = plan.crop_end[axis] * (in - 1) - begin;
    return out == 1 ? begin + length / 2 : begin + o * length / (out - 1);
  }
  if (plan.coordinates == "align_corners") {
    return out == 1 ? 0.0 : static_cast<double>(o) * (in - 1) / (out - 1);
  }
  if (plan.coordinates == "pytorch_half_pixel" && out == 1) return 0.0;
  if (plan.coordinates == "tf_half_pixel_for_nn") return (o + 0.5) / scale;
  if (plan.coordinates == "half_pixel_symmetric") {
    const double adjustment = out / (scale * in);
    const double centre = in / 2.0;
    return centre * (1 - adjustment) + (o + 0.5) / scale - 0.5;
  }
  return (o + 0.5) / scale - 0.5;
}

int64_t NearestIndex(const std::string& mode, double x) {
  if (mode == "floor") return static_cast<int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<int64_t>(std::ceil(x));
  if (mode == "round_prefer_ceil") {
    return static_cast<int64_t>(std::floor(x + 0.5));
  }
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

struct Tap {
  int64_t index;
  double weight;
};

// Keys' cubic kernel with parameter a.
double CubicWeight(double a, double distance) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// The taps of a kernel that reaches `reach` to both sides of x, stretched by
// 1 / `squeeze` so that it covers what shrinking leaves out.
template <typename Weight>
std::vector<Tap> KernelTaps(double x, int64_t reach, double squeeze, int64_t in,
                            bool excludes_outside, Weight weight) {
  std::vector<Tap> taps;
  double sum = 0;
  const int64_t first = static_cast<int64_t>(
      std::floor(x - static_cast<double>(reach) / squeeze));
  const int64_t last =
      static_cast<int64_t>(std::ceil(x + static_cast<double>(reach) / squeeze));
  for (int64_t k = first; k <= last; ++k) {
    const double value = weight((static_cast<double>(k) - x) * squeeze);
    const bool is_outside = k < 0 || k >= in;
    if (value == 0 || (excludes_outside && is_outside)) continue;
    taps.push_back({k, value});
    sum += value;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

std::vector<Tap> TapsAt(const OpCall& call, const ResizePlan& plan, size_t axis,
                        int64_t in, double x) {
  if (plan.mode == "nearest") return {{NearestIndex(plan.nearest, x), 1.0}};
  const double squeeze = plan.smooths ? std::min(plan.scales[axis], 1.0) : 1.0;
  const bool excludes = call.node().IntOr("exclude_outside", 0) != 0;
  if (plan.mode == "linear") {
    return KernelTaps(x, 1, squeeze, in, excludes, [](double distance) {
      return std::max(0.0, 1 - std::abs(distance));
    });
  }
  const double a = call.node().FloatOr("cubic_coeff_a", -0.75f);
  return KernelTaps(x, 2, squeeze, in, excludes,
                    [a](double distance) { return CubicWeight(a, distance); });
}

// Whether output index `o` shows something from outside the cropped input.
bool IsOutsideCrop(const ResizePlan& plan, int64_t in, double x) {
  return !plan.crop_begin.empty() && (x < 0 || x > static_cast<double>(in - 1));
}

// Resamples one axis of `data`, whose shape is `shape`.
std::vector<float> ResampleAxis(const OpCall& call, const ResizePlan& plan,
                                size_t axis, Shape& shape,
                                const std::vector<float>& data) {
  const int64_t in = shape[axis];
  const int64_t out = plan.out[axis];
  const int64_t outer = CountRange(shape, 0, axis);
  const int64_t inner = CountRange(shape, axis + 1, shape.size());
  std::vector<float> resampled(outer * out * inner);
  const float extrapolated = call.node().FloatOr("extrapolation_value", 0);
  for (int64_t o = 0; o < out; ++o) {
    const double x = SourceCoordinate(plan, axis, in, o);
    const bool is_outside = IsOutsideCrop(plan, in, x);
    std::vector<Tap> taps = TapsAt(call, plan, axis, in, x);
    for (Tap& tap : taps) {
      tap.index = std::min(std::max<int64_t>(tap.index, 0), in - 1);
    }
    for (int64_t row = 0; row < outer; ++row) {
      for (int64_t i = 0; i < inner; ++i) {
        double sum = 0;
        for (const Tap& tap : taps) {
          sum += tap.weight * data[(row * in + tap.index) * inner + i];
        }
        resampled[(row * out + o) * inner + i] =
            is_outside ? extrapolated : static_cast<float>(sum);
      }
    }
  }
  shape[axis] = out;
  return resampled;
}

absl::StatusOr<Tensors> ResizeKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const ResizePlan plan, ResolveResize(call));
  const auto values = call.ValuesOf<float>(0);
  std::vector<float> data(values.begin(), values.end());
  Shape shape = call.ShapeOf(0);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (plan.scales[axis] == 1 && plan.out[axis] == shape[axis] &&
        plan.crop_begin.empty()) {
      continue;
    }
    data = ResampleAxis(call, plan, axis, shape, data);
  }
  return Only(Tensor::Of<float>(outputs[0].shape, data));
}

}  // namespace

absl::Span<const OperatorDef> ResizeOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Resize", 1, 4, OpTypes::kFirstFloat32, ResizeRule, ResizeKernel, true},
      {"Upsample", 1, 2, OpTypes::kFloat32, ResizeRule, ResizeKernel, true},
  };
  return kOperators;
}

}  // namespace lathe
