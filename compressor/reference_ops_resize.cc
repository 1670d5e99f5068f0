// Resize and Upsample: one axis after the other.
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/resizing.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::StatusOr<Values> ResizeRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Resizing resizing, Resizing::Resolve(call));
  return Values{{DataType::kFloat32, resizing.out()}};
}

// Resamples one axis of `data`, whose shape is `shape`.
std::vector<float> ResampleAxis(const Resizing& resizing, size_t axis,
                                Shape& shape, const std::vector<float>& data) {
  const int64_t in = shape[axis];
  const int64_t out = resizing.out()[axis];
  const int64_t outer = CountRange(shape, 0, axis);
  const int64_t inner = CountRange(shape, axis + 1, shape.size());
  std::vector<float> resampled(outer * out * inner);
  for (int64_t o = 0; o < out; ++o) {
    const std::vector<ResizeTap> taps = resizing.TapsAt(axis, o);
    for (int64_t row = 0; row < outer; ++row) {
      for (int64_t i = 0; i < inner; ++i) {
        double sum = 0;
        for (const ResizeTap& tap : taps) {
          sum += tap.weight * data[(row * in + tap.index) * inner + i];
        }
        resampled[(row * out + o) * inner + i] =
            taps.empty() ? resizing.extrapolated() : static_cast<float>(sum);
      }
    }
  }
  shape[axis] = out;
  return resampled;
}

absl::StatusOr<Tensors> ResizeKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Resizing resizing, Resizing::Resolve(call));
  const auto values = call.ValuesOf<float>(0);
  std::vector<float> data(values.begin(), values.end());
  Shape shape = call.ShapeOf(0);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (resizing.Keeps(axis)) continue;
    data = ResampleAxis(resizing, axis, shape, data);
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
