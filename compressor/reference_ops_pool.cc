// Pools over any number of spatial dimensions.
#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/limits.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/window.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::StatusOr<Values> PoolRule(const OpCall& call) {
  const Shape& in = call.ShapeOf(0);
  if (in.size() < 3) {
    return call.Invalid(absl::StrCat("input of shape ", ShapeToString(in),
                                     " has no spatial dimension"));
  }
  const absl::StatusOr<Window> window =
      ResolveWindow(call.node(), Spatial(in), {});
  if (!window.ok()) return call.Invalid(window.status().message());
  double positions = 1;
  for (const int64_t size : window->kernel) {
    positions *= static_cast<double>(size);
  }
  if (positions > static_cast<double>(kMostWindowPositions)) {
    return call.Invalid(
        absl::StrCat("a window of ", ShapeToString(window->kernel),
                     " has more than ", kMostWindowPositions, " positions"));
  }
  Shape out = {in[0], in[1]};
  out.insert(out.end(), window->out.begin(), window->out.end());
  return Values{{call.TypeOf(0), std::move(out)}};
}

absl::StatusOr<Values> MaxPoolRule(const OpCall& call) {
  const DataType type = call.TypeOf(0);
  if (type != DataType::kFloat32 && type != DataType::kInt8 &&
      type != DataType::kUint8) {
    return call.Unsupported(
        absl::StrCat("input is ", DataTypeName(type),
                     ", only float32, int8 and uint8 are supported"));
  }
  return PoolRule(call);
}

// How many window positions a dimension has, and where they start.
struct Tap {
  // Offset in the plane; none inside the padding.
  int64_t offset = 0;
  bool is_inside = false;
  // Inside the input or its declared padding (ceil_mode reaches beyond).
  bool is_padded = false;
};

// Calls visit(tap) for every position of the window at output `index`.
template <typename Visit>
void VisitTaps(const Window& w, absl::Span<const int64_t> in_strides,
               absl::Span<const int64_t> index, Visit visit) {
  const int64_t taps = ElementCount(w.kernel);
  for (int64_t tap_index = 0; tap_index < taps; ++tap_index) {
    Tap tap{0, true, true};
    int64_t rest = tap_index;
    for (size_t d = w.in.size(); d-- > 0;) {
      const int64_t k = rest % w.kernel[d];
      rest /= w.kernel[d];
      const int64_t at =
          index[d] * w.strides[d] + k * w.dilations[d] - w.pads_begin[d];
      tap.is_inside &= at >= 0 && at < w.in[d];
      tap.is_padded &= at < w.in[d] + w.pads_end[d];
      tap.offset += at * in_strides[d];
    }
    visit(tap);
  }
}

// Runs pool(plane, output index) -> T for every output element.
template <typename T, typename Pool>
Tensor PoolPlanes(const OpCall& call, const OpValue& output, const Window& w,
                  Pool pool) {
  TensorBuilder<T> out(output);
  const int64_t planes = output.shape[0] * output.shape[1];
  const int64_t in_plane = ElementCount(w.in);
  const int64_t out_plane = ElementCount(w.out);
  for (int64_t plane = 0; plane < planes; ++plane) {
    const T* in = call.ValuesOf<T>(0).data() + plane * in_plane;
    std::vector<int64_t> index(w.out.size());
    for (int64_t o = 0; o < out_plane; ++o) {
      int64_t rest = o;
      for (size_t d = w.out.size(); d-- > 0;) {
        index[d] = rest % w.out[d];
        rest /= w.out[d];
      }
      out.data()[plane * out_plane + o] = pool(in, index);
    }
  }
  return std::move(out).Build();
}

template <typename T>
Tensor MaxPool(const OpCall& call, const OpValue& output, const Window& w) {
  const std::vector<int64_t> in_strides = Strides(w.in);
  return PoolPlanes<T>(call, output, w,
                       [&](const T* in, const std::vector<int64_t>& index) {
                         T largest = std::numeric_limits<T>::lowest();
                         if (std::numeric_limits<T>::has_infinity) {
                           largest = -std::numeric_limits<T>::infinity();
                         }
                         VisitTaps(w, in_strides, index, [&](const Tap& tap) {
                           if (tap.is_inside)
                             largest = std::max(largest, in[tap.offset]);
                         });
                         return largest;
                       });
}

absl::StatusOr<Tensors> MaxPoolKernel(const OpCall& call,
                                      const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const Window w, ResolveWindow(call.node(), Spatial(call.ShapeOf(0)), {}));
  switch (call.TypeOf(0)) {
    case DataType::kInt8:
      return Only(MaxPool<int8_t>(call, outputs[0], w));
    case DataType::kUint8:
      return Only(MaxPool<uint8_t>(call, outputs[0], w));
    default:
      return Only(MaxPool<float>(call, outputs[0], w));
  }
}

absl::StatusOr<Tensors> AveragePoolKernel(const OpCall& call,
                                          const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const Window w, ResolveWindow(call.node(), Spatial(call.ShapeOf(0)), {}));
  const bool counts_padding = call.node().IntOr("count_include_pad", 0) != 0;
  const std::vector<int64_t> in_strides = Strides(w.in);
  return Only(PoolPlanes<float>(
      call, outputs[0], w,
      [&](const float* in, const std::vector<int64_t>& index) {
        double sum = 0;
        int64_t count = 0;
        VisitTaps(w, in_strides, index, [&](const Tap& tap) {
          if (tap.is_inside) sum += in[tap.offset];
          count += counts_padding ? tap.is_padded : tap.is_inside;
        });
        return count == 0 ? 0.0f : static_cast<float>(sum / count);
      }));
}

absl::StatusOr<Values> GlobalPoolRule(const OpCall& call) {
  Shape shape = call.ShapeOf(0);
  if (shape.size() < 3) {
    return call.Invalid(absl::StrCat("input of shape ", ShapeToString(shape),
                                     " has no spatial dimension"));
  }
  if (ElementCount(Spatial(shape)) == 0) {
    return call.Invalid("the pooled dimensions are empty");
  }
  std::fill(shape.begin() + 2, shape.end(), 1);
  return Values{{DataType::kFloat32, std::move(shape)}};
}

template <typename Reduce>
absl::StatusOr<Tensors> GlobalPool(const OpCall& call, const Values& outputs,
                                   Reduce reduce) {
  TensorBuilder<float> out(outputs[0]);
  const int64_t plane = ElementCount(Spatial(call.ShapeOf(0)));
  for (int64_t i = 0; i < out.size(); ++i) {
    out.data()[i] = reduce(call.ValuesOf<float>(0).subspan(i * plane, plane));
  }
  return Only(std::move(out).Build());
}

absl::StatusOr<Tensors> GlobalAveragePoolKernel(const OpCall& call,
                                                const Values& outputs) {
  return GlobalPool(call, outputs, [](absl::Span<const float> plane) {
    double sum = 0;
    for (const float value : plane) sum += value;
    return static_cast<float>(sum / static_cast<double>(plane.size()));
  });
}

absl::StatusOr<Tensors> GlobalMaxPoolKernel(const OpCall& call,
                                            const Values& outputs) {
  return GlobalPool(call, outputs, [](absl::Span<const float> plane) {
    return *std::max_element(plane.begin(), plane.end());
  });
}

}  // namespace

absl::Span<const OperatorDef> PoolOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"MaxPool", 1, 1, OpTypes::kAny, MaxPoolRule, MaxPoolKernel, true},
      {"AveragePool", 1, 1, OpTypes::kFloat32, PoolRule, AveragePoolKernel,
       true},
      {"GlobalAveragePool", 1, 1, OpTypes::kFloat32, GlobalPoolRule,
       GlobalAveragePoolKernel, true},
      {"GlobalMaxPool", 1, 1, OpTypes::kFloat32, GlobalPoolRule,
       GlobalMaxPoolKernel, true},
  };
  return kOperators;
}

}  // namespace lathe
