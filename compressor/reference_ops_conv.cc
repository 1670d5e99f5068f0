// Conv and ConvTranspose, one and two spatial dimensions. One dimension is
// computed as two, the first of size 1.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/window.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::Span<const int64_t> Spatial(const Shape& shape) {
  return absl::MakeConstSpan(shape).subspan(2);
}

// Errors of shapes that Conv and ConvTranspose have in common.
absl::Status CheckConvShapes(const OpCall& call, int64_t out_channels) {
  if (call.Rank(0) != 3 && call.Rank(0) != 4) {
    return call.Unsupported(
        absl::StrCat("input of shape ", ShapeToString(call.ShapeOf(0)),
                     "; only 1 or 2 spatial dimensions are supported"));
  }
  if (call.Rank(1) != call.Rank(0)) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(call.ShapeOf(1)),
                     " do not fit the input ", ShapeToString(call.ShapeOf(0))));
  }
  if (call.Has(2) && call.ShapeOf(2) != Shape{out_channels}) {
    return call.Invalid(absl::StrCat("bias of shape ",
                                     ShapeToString(call.ShapeOf(2)), ", not [",
                                     out_channels, "]"));
  }
  return absl::OkStatus();
}

absl::Status CheckGroups(const OpCall& call, int64_t groups, int64_t divided) {
  if (groups >= 1 && divided >= 1 && divided % groups == 0) {
    return absl::OkStatus();
  }
  return call.Invalid(absl::StrCat("group = ", groups, " does not divide ",
                                   divided, " channels"));
}

absl::StatusOr<Values> MakeOutput(const OpCall& call, int64_t channels,
                                  const absl::StatusOr<Window>& window) {
  if (!window.ok()) return call.Invalid(window.status().message());
  Shape shape = {call.ShapeOf(0)[0], channels};
  shape.insert(shape.end(), window->out.begin(), window->out.end());
  return Values{{DataType::kFloat32, std::move(shape)}};
}

absl::StatusOr<Values> ConvRule(const OpCall& call) {
  const int64_t out_channels = call.Rank(1) > 0 ? call.ShapeOf(1)[0] : 0;
  LATHE_RETURN_IF_ERROR(CheckConvShapes(call, out_channels));
  const Shape& in = call.ShapeOf(0);
  const Shape& weights = call.ShapeOf(1);
  const int64_t groups = call.node().IntOr("group", 1);
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, in[1]));
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, out_channels));
  if (weights[1] != in[1] / groups) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(weights), " read ",
                     weights[1], " channels a group, the input ",
                     ShapeToString(in), " has ", in[1] / groups));
  }
  return MakeOutput(call, out_channels,
                    ResolveWindow(call.node(), Spatial(in), Spatial(weights)));
}

// A window with two spatial dimensions.
Window AsPlane(Window window) {
  if (window.in.size() == 2) return window;
  for (auto* ones : {&window.kernel, &window.strides, &window.dilations,
                     &window.in, &window.out}) {
    ones->insert(ones->begin(), 1);
  }
  for (auto* zeros : {&window.pads_begin, &window.pads_end}) {
    zeros->insert(zeros->begin(), 0);
  }
  return window;
}

// Output columns [first, last) whose input column for kernel column `k` lies
// inside the input.
struct Columns {
  int64_t first = 0;
  int64_t last = 0;
};

Columns InsideColumns(const Window& w, int64_t k) {
  const int64_t shift = k * w.dilations[1] - w.pads_begin[1];
  const int64_t stride = w.strides[1];
  Columns columns;
  columns.first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t room = w.in[1] - 1 - shift;
  columns.last = room < 0 ? 0 : std::min<int64_t>(w.out[1], room / stride + 1);
  return columns;
}

// Adds kernel row x input row to one output row of sums.
void AddRow(const Window& w, const float* in_row, const float* kernel_row,
            double* sums) {
  for (int64_t k = 0; k < w.kernel[1]; ++k) {
    const double weight = kernel_row[k];
    const Columns columns = InsideColumns(w, k);
    const int64_t stride = w.strides[1];
    const int64_t shift = k * w.dilations[1] - w.pads_begin[1];
    for (int64_t o = columns.first; o < columns.last; ++o) {
      sums[o] += weight * in_row[o * stride + shift];
    }
  }
}

// One output channel of one sample: `in` are the channels of its group.
void ConvChannel(const Window& w, int64_t channels, const float* in,
                 const float* weights, float bias, float* out) {
  std::vector<double> sums(w.out[1]);
  for (int64_t y = 0; y < w.out[0]; ++y) {
    std::fill(sums.begin(), sums.end(), bias);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < w.kernel[0]; ++k) {
        const int64_t row =
            y * w.strides[0] + k * w.dilations[0] - w.pads_begin[0];
        if (row < 0 || row >= w.in[0]) continue;
        AddRow(w, in + (c * w.in[0] + row) * w.in[1],
               weights + (c * w.kernel[0] + k) * w.kernel[1], sums.data());
      }
    }
    for (int64_t x = 0; x < w.out[1]; ++x) {
      out[y * w.out[1] + x] = static_cast<float>(sums[x]);
    }
  }
}

absl::StatusOr<Tensors> ConvKernel(const OpCall& call, const Values& outputs) {
  const Shape& in_shape = call.ShapeOf(0);
  const Shape& weight_shape = call.ShapeOf(1);
  LATHE_ASSIGN_OR_RETURN(
      Window resolved,
      ResolveWindow(call.node(), Spatial(in_shape), Spatial(weight_shape)));
  const Window w = AsPlane(std::move(resolved));
  const int64_t groups = call.node().IntOr("group", 1);
  const int64_t out_channels = weight_shape[0];
  const int64_t channels = weight_shape[1];
  const int64_t in_plane = w.in[0] * w.in[1];
  const int64_t out_plane = w.out[0] * w.out[1];
  const int64_t filter = channels * w.kernel[0] * w.kernel[1];
  TensorBuilder<float> out(outputs[0]);
  for (int64_t n = 0; n < in_shape[0]; ++n) {
    for (int64_t o = 0; o < out_channels; ++o) {
      const int64_t group = o / (out_channels / groups);
      const float bias = call.Has(2) ? call.ValuesOf<float>(2)[o] : 0.0f;
      ConvChannel(w, channels,
                  call.ValuesOf<float>(0).data() +
                      (n * in_shape[1] + group * channels) * in_plane,
                  call.ValuesOf<float>(1).data() + o * filter, bias,
                  out.data() + (n * out_channels + o) * out_plane);
    }
  }
  return Only(std::move(out).Build());
}

absl::StatusOr<Values> ConvTransposeRule(const OpCall& call) {
  const int64_t groups = call.node().IntOr("group", 1);
  const int64_t per_group = call.Rank(1) > 1 ? call.ShapeOf(1)[1] : 0;
  if (groups < 1 || groups > (int64_t{1} << 31)) {
    return call.Invalid(absl::StrCat("group = ", groups, " is not positive"));
  }
  LATHE_RETURN_IF_ERROR(CheckConvShapes(call, per_group * groups));
  const Shape& in = call.ShapeOf(0);
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, in[1]));
  if (call.ShapeOf(1)[0] != in[1]) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(call.ShapeOf(1)),
                     " read ", call.ShapeOf(1)[0], " channels, the input ",
                     ShapeToString(in), " has ", in[1]));
  }
  return MakeOutput(call, per_group * groups,
                    ResolveTransposedWindow(call.node(), Spatial(in),
                                            Spatial(call.ShapeOf(1))));
}

// Spreads one input plane over one output plane.
void SpreadPlane(const Window& w, const float* in, const float* kernel,
                 double* out) {
  for (int64_t y = 0; y < w.in[0]; ++y) {
    for (int64_t k = 0; k < w.kernel[0]; ++k) {
      const int64_t row =
          y * w.strides[0] + k * w.dilations[0] - w.pads_begin[0];
      if (row < 0 || row >= w.out[0]) continue;
      for (int64_t x = 0; x < w.in[1]; ++x) {
        for (int64_t j = 0; j < w.kernel[1]; ++j) {
          const int64_t column =
              x * w.strides[1] + j * w.dilations[1] - w.pads_begin[1];
          if (column < 0 || column >= w.out[1]) continue;
          out[row * w.out[1] + column] +=
              static_cast<double>(in[y * w.in[1] + x]) *
              kernel[k * w.kernel[1] + j];
        }
      }
    }
  }
}

absl::StatusOr<Tensors> ConvTransposeKernel(const OpCall& call,
                                            const Values& outputs) {
  const Shape& in_shape = call.ShapeOf(0);
  LATHE_ASSIGN_OR_RETURN(Window resolved,
                         ResolveTransposedWindow(call.node(), Spatial(in_shape),
                                                 Spatial(call.ShapeOf(1))));
  const Window w = AsPlane(std::move(resolved));
  const int64_t groups = call.node().IntOr("group", 1);
  const int64_t per_group = call.ShapeOf(1)[1];
  const int64_t in_per_group = in_shape[1] / groups;
  const int64_t in_plane = w.in[0] * w.in[1];
  const int64_t taps = w.kernel[0] * w.kernel[1];
  TensorBuilder<float> out(outputs[0]);
  std::vector<double> sums(w.out[0] * w.out[1]);
  const int64_t planes = in_shape[0] * per_group * groups;
  for (int64_t plane = 0; plane < planes; ++plane) {
    const int64_t n = plane / (per_group * groups);
    const int64_t o = plane % (per_group * groups);
    const float bias = call.Has(2) ? call.ValuesOf<float>(2)[o] : 0.0f;
    std::fill(sums.begin(), sums.end(), bias);
    for (int64_t c = 0; c < in_per_group; ++c) {
      const int64_t channel = o / per_group * in_per_group + c;
      SpreadPlane(w,
                  call.ValuesOf<float>(0).data() +
                      (n * in_shape[1] + channel) * in_plane,
                  call.ValuesOf<float>(1).data() +
                      (channel * per_group + o % per_group) * taps,
                  sums.data());
    }
    std::transform(sums.begin(), sums.end(),
                   out.data() + plane * static_cast<int64_t>(sums.size()),
                   [](double sum) { return static_cast<float>(sum); });
  }
  return Only(std::move(out).Build());
}

constexpr OperatorDef kOperators[] = {
    {"Conv", 2, 3, OpTypes::kFloat32, ConvRule, ConvKernel, true},
    {"ConvTranspose", 2, 3, OpTypes::kFloat32, ConvTransposeRule,
     ConvTransposeKernel, true},
};

}  // namespace

absl::Span<const OperatorDef> ConvOperators() { return kOperators; }

}  // namespace lathe
