// Softmax and the normalisations.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// ------------------------------------------------------------------ Softmax

// Rows to normalise: `count` elements, `step` apart.
struct SoftmaxAxis {
  int64_t outer = 1;
  int64_t count = 1;
  int64_t step = 1;
};

// Before opset 13 everything from the axis on is one row.
absl::StatusOr<SoftmaxAxis> ResolveSoftmax(const OpCall& call) {
  const bool is_flat = call.opset() < 13;
  const Shape& in = call.ShapeOf(0);
  const int64_t rank = call.Rank(0);
  const int64_t given = call.node().IntOr("axis", is_flat ? 1 : -1);
  if (is_flat && given == rank) return SoftmaxAxis{ElementCount(in), 1, 1};
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, NormalizeAxis(call, given, rank));
  if (is_flat) {
    return SoftmaxAxis{CountRange(in, 0, axis), CountRange(in, axis, rank), 1};
  }
  return SoftmaxAxis{CountRange(in, 0, axis), in[axis],
                     CountRange(in, axis + 1, rank)};
}

absl::StatusOr<Values> SoftmaxRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(ResolveSoftmax(call).status());
  return LikeInput(call);
}

// One row in place of another; `row` and `out` may be the same.
void SoftmaxRow(const float* row, const SoftmaxAxis& axis, bool is_log,
                float* out) {
  float largest = row[0];
  for (int64_t k = 1; k < axis.count; ++k) {
    largest = std::max(largest, row[k * axis.step]);
  }
  double sum = 0;
  for (int64_t k = 0; k < axis.count; ++k) {
    sum += std::exp(static_cast<double>(row[k * axis.step]) - largest);
  }
  for (int64_t k = 0; k < axis.count; ++k) {
    const double shifted = static_cast<double>(row[k * axis.step]) - largest;
    out[k * axis.step] = static_cast<float>(is_log ? shifted - std::log(sum)
                                                   : std::exp(shifted) / sum);
  }
}

template <bool is_log>
absl::StatusOr<Tensors> SoftmaxKernel(const OpCall& call,
                                      const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const SoftmaxAxis axis, ResolveSoftmax(call));
  TensorBuilder<float> out(outputs[0]);
  if (out.size() == 0) return Only(std::move(out).Build());
  const float* in = call.ValuesOf<float>(0).data();
  for (int64_t o = 0; o < axis.outer; ++o) {
    for (int64_t i = 0; i < axis.step; ++i) {
      const int64_t at = o * axis.count * axis.step + i;
      SoftmaxRow(in + at, axis, is_log, out.data() + at);
    }
  }
  return Only(std::move(out).Build());
}

// 1 at the first largest number of each row.
absl::StatusOr<Tensors> HardmaxKernel(const OpCall& call,
                                      const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const SoftmaxAxis axis, ResolveSoftmax(call));
  const auto in = call.ValuesOf<float>(0);
  TensorBuilder<float> out(outputs[0]);
  for (int64_t row = 0; row < axis.outer * axis.step; ++row) {
    const int64_t first =
        row / axis.step * axis.count * axis.step + row % axis.step;
    int64_t best = first;
    for (int64_t k = 1; k < axis.count; ++k) {
      if (in[first + k * axis.step] > in[best]) best = first + k * axis.step;
    }
    out.data()[best] = 1;
  }
  return Only(std::move(out).Build());
}

// --------------------------------------------------------- Normalisations

// `input` i is a vector of `size` elements.
absl::Status CheckVector(const OpCall& call, int i, int64_t size) {
  if (call.ShapeOf(i) == Shape{size}) return absl::OkStatus();
  return call.Invalid(absl::StrCat("input ", i, " of shape ",
                                   ShapeToString(call.ShapeOf(i)), ", not [",
                                   size, "]"));
}

struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments MomentsOf(absl::Span<const float> values) {
  Moments moments;
  for (const float value : values) moments.mean += value;
  moments.mean /= static_cast<double>(values.size());
  for (const float value : values) {
    const double deviation = value - moments.mean;
    moments.variance += deviation * deviation;
  }
  moments.variance /= static_cast<double>(values.size());
  return moments;
}

absl::StatusOr<Values> BatchNormRule(const OpCall& call) {
  if (call.Rank(0) < 2) return call.Invalid("input has no channels");
  if (call.node().IntOr("training_mode", 0) != 0 ||
      call.node().IntOr("spatial", 1) == 0) {
    return call.Unsupported(
        "training mode and spatial = 0; export the model for inference");
  }
  for (int i = 1; i < 5; ++i) {
    LATHE_RETURN_IF_ERROR(CheckVector(call, i, call.ShapeOf(0)[1]));
  }
  return LikeInput(call);
}

absl::StatusOr<Tensors> BatchNormKernel(const OpCall& call,
                                        const Values& outputs) {
  const float epsilon = call.node().FloatOr("epsilon", 1e-5f);
  const Shape& in = call.ShapeOf(0);
  const int64_t plane = CountRange(in, 2, in.size());
  TensorBuilder<float> out(outputs[0]);
  for (int64_t i = 0; i < out.size(); ++i) {
    const int64_t c = i / plane % in[1];
    const double scale =
        call.ValuesOf<float>(1)[c] /
        std::sqrt(static_cast<double>(call.ValuesOf<float>(4)[c]) + epsilon);
    out.data()[i] =
        static_cast<float>((static_cast<double>(call.ValuesOf<float>(0)[i]) -
                            call.ValuesOf<float>(3)[c]) *
                               scale +
                           call.ValuesOf<float>(2)[c]);
  }
  return Only(std::move(out).Build());
}

// What LayerNormalization and RMSNormalization normalise: all from `axis` on.
absl::StatusOr<int64_t> TrailingAxis(const OpCall& call) {
  return NormalizeAxis(call, call.node().IntOr("axis", -1), call.Rank(0));
}

absl::StatusOr<Values> TrailingNormRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, TrailingAxis(call));
  const Shape& in = call.ShapeOf(0);
  for (int i = 1; i < call.InputCount(); ++i) {
    if (!call.Has(i)) continue;
    LATHE_ASSIGN_OR_RETURN(const Shape common,
                           BroadcastShapes(call, call.ShapeOf(i), in));
    if (common != in) {
      return call.Invalid(absl::StrCat("input ", i, " of shape ",
                                       ShapeToString(call.ShapeOf(i)),
                                       " does not fit ", ShapeToString(in)));
    }
  }
  if (CountRange(in, axis, in.size()) == 0) {
    return call.Invalid("the normalised dimensions are empty");
  }
  Shape moments = in;
  std::fill(moments.begin() + axis, moments.end(), 1);
  return Values{
      call.In(0), {DataType::kFloat32, moments}, {DataType::kFloat32, moments}};
}

absl::StatusOr<Values> RmsNormRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(Values outputs, TrailingNormRule(call));
  outputs.resize(1);
  return outputs;
}

// data = data x input 1 + input 2, both broadcast, where they are there.
void ScaleAndShift(const OpCall& call, const Shape& shape, float* data) {
  for (const int i : {1, 2}) {
    if (!call.Has(i)) continue;
    const auto operand = call.ValuesOf<float>(i);
    WalkStrided<1>(shape, {BroadcastStrides(call.ShapeOf(i), shape)},
                   [&](int64_t e, const std::array<int64_t, 1>& at) {
                     data[e] = i == 1 ? data[e] * operand[at[0]]
                                      : data[e] + operand[at[0]];
                   });
  }
}

absl::StatusOr<Tensors> LayerNormKernel(const OpCall& call,
                                        const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, TrailingAxis(call));
  const float epsilon = call.node().FloatOr("epsilon", 1e-5f);
  const Shape& in = call.ShapeOf(0);
  const int64_t count = CountRange(in, axis, in.size());
  TensorBuilder<float> out(outputs[0]);
  TensorBuilder<float> mean(outputs[1]);
  TensorBuilder<float> inverse(outputs[2]);
  for (int64_t row = 0; row < mean.size(); ++row) {
    const auto values = call.ValuesOf<float>(0).subspan(row * count, count);
    const Moments moments = MomentsOf(values);
    const double scale = 1 / std::sqrt(moments.variance + epsilon);
    mean.data()[row] = static_cast<float>(moments.mean);
    inverse.data()[row] = static_cast<float>(scale);
    for (int64_t k = 0; k < count; ++k) {
      out.data()[row * count + k] =
          static_cast<float>((values[k] - moments.mean) * scale);
    }
  }
  ScaleAndShift(call, in, out.data());
  return Tensors{std::move(out).Build(), std::move(mean).Build(),
                 std::move(inverse).Build()};
}

absl::StatusOr<Tensors> RmsNormKernel(const OpCall& call,
                                      const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, TrailingAxis(call));
  const float epsilon = call.node().FloatOr("epsilon", 1e-5f);
  const Shape& in = call.ShapeOf(0);
  const int64_t count = CountRange(in, axis, in.size());
  TensorBuilder<float> out(outputs[0]);
  for (int64_t first = 0; first < out.size(); first += count) {
    const auto values = call.ValuesOf<float>(0).subspan(first, count);
    double squares = 0;
    for (const float x : values) squares += static_cast<double>(x) * x;
    const double scale = 1 / std::sqrt(squares / count + epsilon);
    for (int64_t k = 0; k < count; ++k) {
      out.data()[first + k] = static_cast<float>(values[k] * scale);
    }
  }
  ScaleAndShift(call, in, out.data());
  return Only(std::move(out).Build());
}

absl::StatusOr<Values> InstanceNormRule(const OpCall& call) {
  const Shape& in = call.ShapeOf(0);
  if (in.size() < 3 || CountRange(in, 2, in.size()) == 0) {
    return call.Invalid(
        absl::StrCat("input of shape ", ShapeToString(in), " has no planes"));
  }
  for (const int i : {1, 2}) {
    LATHE_RETURN_IF_ERROR(CheckVector(call, i, in[1]));
  }
  return LikeInput(call);
}

absl::StatusOr<Values> GroupNormRule(const OpCall& call) {
  const Shape& in = call.ShapeOf(0);
  const int64_t groups = call.node().IntOr("num_groups", 0);
  if (in.size() < 2 || groups < 1 || in[1] < 1 || in[1] % groups != 0 ||
      CountRange(in, 2, in.size()) == 0) {
    return call.Invalid(
        absl::StrCat("num_groups = ", groups, " on ", ShapeToString(in)));
  }
  for (const int i : {1, 2}) {
    LATHE_RETURN_IF_ERROR(
        CheckVector(call, i, call.opset() >= 21 ? in[1] : groups));
  }
  return LikeInput(call);
}

// Normalises groups of neighbouring channels of each sample; scale and bias
// have one number for each channel or one for each group.
absl::StatusOr<Tensors> NormalizeGroups(const OpCall& call,
                                        const Values& outputs, int64_t groups) {
  const float epsilon = call.node().FloatOr("epsilon", 1e-5f);
  const Shape& in = call.ShapeOf(0);
  const int64_t plane = CountRange(in, 2, in.size());
  const int64_t count = in[1] / groups * plane;
  const int64_t per_number = in[1] / call.ShapeOf(1)[0];
  TensorBuilder<float> out(outputs[0]);
  for (int64_t first = 0; first < out.size(); first += count) {
    const auto values = call.ValuesOf<float>(0).subspan(first, count);
    const Moments moments = MomentsOf(values);
    const double scale = 1 / std::sqrt(moments.variance + epsilon);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t c = (first + k) / plane % in[1] / per_number;
      out.data()[first + k] = static_cast<float>(
          (values[k] - moments.mean) * scale * call.ValuesOf<float>(1)[c] +
          call.ValuesOf<float>(2)[c]);
    }
  }
  return Only(std::move(out).Build());
}

absl::StatusOr<Tensors> InstanceNormKernel(const OpCall& call,
                                           const Values& outputs) {
  return NormalizeGroups(call, outputs, call.ShapeOf(0)[1]);
}

absl::StatusOr<Tensors> GroupNormKernel(const OpCall& call,
                                        const Values& outputs) {
  return NormalizeGroups(call, outputs, call.node().IntOr("num_groups", 1));
}

absl::StatusOr<Values> LrnRule(const OpCall& call) {
  const int64_t size = call.node().IntOr("size", 0);
  if (call.Rank(0) < 2 || size < 1 || size > int64_t{1} << 31) {
    return call.Invalid(
        absl::StrCat("size = ", size, " on ", ShapeToString(call.ShapeOf(0))));
  }
  return LikeInput(call);
}

absl::StatusOr<Tensors> LrnKernel(const OpCall& call, const Values& outputs) {
  const int64_t size = call.node().IntOr("size", 1);
  const double alpha = call.node().FloatOr("alpha", 0.0001f);
  const double beta = call.node().FloatOr("beta", 0.75f);
  const double bias = call.node().FloatOr("bias", 1.0f);
  const Shape& in = call.ShapeOf(0);
  const int64_t plane = CountRange(in, 2, in.size());
  const auto values = call.ValuesOf<float>(0);
  TensorBuilder<float> out(outputs[0]);
  for (int64_t i = 0; i < out.size(); ++i) {
    const int64_t c = i / plane % in[1];
    const int64_t first = std::max<int64_t>(0, c - (size - 1) / 2);
    const int64_t last = std::min(in[1] - 1, c + size / 2);
    double squares = 0;
    for (int64_t k = first; k <= last; ++k) {
      const double x = values[i + (k - c) * plane];
      squares += x * x;
    }
    out.data()[i] = static_cast<float>(
        values[i] / std::pow(bias + alpha / size * squares, beta));
  }
  return Only(std::move(out).Build());
}

constexpr OpTypes kFloat = OpTypes::kFloat32;

}  // namespace

absl::Span<const OperatorDef> NormOperators() {
  static const OperatorDef kOperators[] = {
      {"Softmax", 1, 1, kFloat, SoftmaxRule, SoftmaxKernel<false>, true},
      {"LogSoftmax", 1, 1, kFloat, SoftmaxRule, SoftmaxKernel<true>, true},
      {"Hardmax", 1, 1, kFloat, SoftmaxRule, HardmaxKernel},
      {"BatchNormalization", 5, 5, kFloat, BatchNormRule, BatchNormKernel,
       true},
      {"LayerNormalization", 2, 3, kFloat, TrailingNormRule, LayerNormKernel,
       true},
      {"RMSNormalization", 2, 2, kFloat, RmsNormRule, RmsNormKernel, true},
      {"InstanceNormalization", 3, 3, kFloat, InstanceNormRule,
       InstanceNormKernel, true},
      {"GroupNormalization", 3, 3, kFloat, GroupNormRule, GroupNormKernel,
       true},
      {"LRN", 1, 1, kFloat, LrnRule, LrnKernel, true},
  };
  return kOperators;
}

}  // namespace lathe
