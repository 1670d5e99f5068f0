// Operators on quantised tensors: MatMulInteger, ConvInteger, QLinearMatMul,
// QLinearConv and DynamicQuantizeLinear.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/matmul_shapes.h"
#include "compressor/numeric_cast.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/plain_sums.h"
#include "compressor/window.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

bool IsByte(DataType type) {
  return type == DataType::kInt8 || type == DataType::kUint8;
}

absl::Status CheckLevels(const OpCall& call, int i) {
  if (IsByte(call.TypeOf(i))) return absl::OkStatus();
  return call.Unsupported(absl::StrCat(
      "input ", i, " is ", DataTypeName(call.TypeOf(i)),
      ", only int8 and uint8 are supported; use QuantizeLinear and "
      "DequantizeLinear for others"));
}

// Elements that share a scale or a zero point: one group of all, or one for
// each index of `axis`.
struct Grouping {
  int64_t inner = 1;
  int64_t count = 1;

  int64_t Of(int64_t element) const { return element / inner % count; }
};

// How input `i` (a scale or a zero point) belongs to `shape`.
absl::StatusOr<Grouping> GroupingOf(const OpCall& call, int i,
                                    const Shape& shape, int64_t axis) {
  const int64_t count = call.Has(i) ? ElementCount(call.ShapeOf(i)) : 1;
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (count == 1) return Grouping{};
  if (axis >= 0 && axis < rank && count == shape[axis]) {
    return Grouping{CountRange(shape, axis + 1, rank), count};
  }
  return call.Invalid(
      absl::StrCat("input ", i, " of shape ", ShapeToString(call.ShapeOf(i)),
                   " does not fit axis ", axis, " of ", ShapeToString(shape)));
}

int32_t LevelAt(const Tensor& tensor, int64_t i) {
  if (tensor.type() == DataType::kInt8) return tensor.values<int8_t>()[i];
  return tensor.values<uint8_t>()[i];
}

// levels - zero point: small integers, exact in float.
std::vector<float> Centred(const OpCall& call, int levels, int zero_point,
                           const Grouping& grouping) {
  const Tensor& tensor = call.TensorOf(levels);
  std::vector<float> centred(tensor.size());
  for (size_t i = 0; i < centred.size(); ++i) {
    const int64_t element = static_cast<int64_t>(i);
    int32_t level = LevelAt(tensor, element);
    if (call.Has(zero_point)) {
      level -= LevelAt(call.TensorOf(zero_point), grouping.Of(element));
    }
    centred[i] = static_cast<float>(level);
  }
  return centred;
}

// An input pair of a product: levels, their zero points and scales (-1: none),
// and the axis along which those may vary.
struct Factor {
  int levels;
  int zero_point;
  int scale;
};

absl::Status CheckFactor(const OpCall& call, const Factor& factor,
                         int64_t axis) {
  LATHE_RETURN_IF_ERROR(CheckLevels(call, factor.levels));
  const Shape& shape = call.ShapeOf(factor.levels);
  if (call.Has(factor.zero_point)) {
    if (call.TypeOf(factor.zero_point) != call.TypeOf(factor.levels)) {
      return call.Invalid(absl::StrCat("input ", factor.zero_point,
                                       " is not of the type of input ",
                                       factor.levels));
    }
    LATHE_RETURN_IF_ERROR(
        GroupingOf(call, factor.zero_point, shape, axis).status());
  }
  if (factor.scale < 0) return absl::OkStatus();
  if (call.TypeOf(factor.scale) != DataType::kFloat32) {
    return call.Invalid(
        absl::StrCat("input ", factor.scale, " is not float32"));
  }
  return GroupingOf(call, factor.scale, shape, axis).status();
}

absl::StatusOr<std::vector<float>> CentredFactor(const OpCall& call,
                                                 const Factor& factor,
                                                 int64_t axis) {
  LATHE_ASSIGN_OR_RETURN(
      const Grouping grouping,
      GroupingOf(call, factor.zero_point, call.ShapeOf(factor.levels), axis));
  return Centred(call, factor.levels, factor.zero_point, grouping);
}

// The inputs of QLinearMatMul and QLinearConv.
constexpr Factor kLinearLeft = {0, 2, 1};
constexpr Factor kLinearRight = {3, 5, 4};
constexpr int kOutScale = 6;
constexpr int kOutZeroPoint = 7;

absl::StatusOr<DataType> LinearType(const OpCall& call) {
  if (ElementCount(call.ShapeOf(kOutScale)) != 1 ||
      ElementCount(call.ShapeOf(kOutZeroPoint)) != 1 ||
      call.TypeOf(kOutScale) != DataType::kFloat32) {
    return call.Unsupported("only one scale and zero point of the output");
  }
  LATHE_RETURN_IF_ERROR(CheckLevels(call, kOutZeroPoint));
  return call.TypeOf(kOutZeroPoint);
}

// Accumulators become levels: scale * sum / out_scale + zero point.
// scale_at(element) is the product of the inputs' scales there.
template <typename ScaleAt>
Tensor Requantize(const OpCall& call, const OpValue& output,
                  const std::vector<int32_t>& sums, ScaleAt scale_at) {
  const float out_scale = call.ValuesOf<float>(kOutScale)[0];
  const float zero_point =
      static_cast<float>(LevelAt(call.TensorOf(kOutZeroPoint), 0));
  return VisitType(output.type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(output);
    const float least = static_cast<float>(std::numeric_limits<T>::lowest());
    const float most = static_cast<float>(std::numeric_limits<T>::max());
    for (int64_t i = 0; i < out.size(); ++i) {
      const float level = std::nearbyint(static_cast<float>(sums[i]) *
                                         (scale_at(i) / out_scale)) +
                          zero_point;
      out.data()[i] = static_cast<T>(std::min(std::max(level, least), most));
    }
    return std::move(out).Build();
  });
}

// ------------------------------------------------------------------- MatMul

// The left factor varies by row, the right one by column.
int64_t RowAxis(const OpCall& call, int i) { return call.Rank(i) - 2; }
int64_t ColumnAxis(const OpCall& call, int i) { return call.Rank(i) - 1; }

absl::StatusOr<Values> MatMulOf(const OpCall& call, const Factor& left,
                                const Factor& right, DataType type) {
  LATHE_RETURN_IF_ERROR(CheckFactor(call, left, RowAxis(call, left.levels)));
  LATHE_RETURN_IF_ERROR(
      CheckFactor(call, right, ColumnAxis(call, right.levels)));
  LATHE_ASSIGN_OR_RETURN(MatMulShapes shapes,
                         ResolveMatMul(call, left.levels, right.levels));
  return Values{{type, std::move(shapes.out)}};
}

absl::StatusOr<std::vector<int32_t>> MatMulSums(const OpCall& call,
                                                const Factor& left,
                                                const Factor& right,
                                                const Shape& out_shape) {
  LATHE_ASSIGN_OR_RETURN(const MatMulShapes shapes,
                         ResolveMatMul(call, left.levels, right.levels));
  LATHE_ASSIGN_OR_RETURN(const std::vector<float> a,
                         CentredFactor(call, left, RowAxis(call, left.levels)));
  LATHE_ASSIGN_OR_RETURN(
      const std::vector<float> b,
      CentredFactor(call, right, ColumnAxis(call, right.levels)));
  std::vector<int32_t> sums(ElementCount(out_shape));
  MultiplyBatches(shapes, a.data(), b.data(), sums.data());
  return sums;
}

constexpr Factor kIntegerLeft = {0, 2, -1};
constexpr Factor kIntegerRight = {1, 3, -1};

absl::StatusOr<Values> MatMulIntegerRule(const OpCall& call) {
  return MatMulOf(call, kIntegerLeft, kIntegerRight, DataType::kInt32);
}

absl::StatusOr<Tensors> MatMulIntegerKernel(const OpCall& call,
                                            const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const std::vector<int32_t> sums,
      MatMulSums(call, kIntegerLeft, kIntegerRight, outputs[0].shape));
  return Only(Tensor::Of<int32_t>(outputs[0].shape, sums));
}

absl::StatusOr<Values> LinearMatMulRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const DataType type, LinearType(call));
  return MatMulOf(call, kLinearLeft, kLinearRight, type);
}

absl::StatusOr<Tensors> LinearMatMulKernel(const OpCall& call,
                                           const Values& outputs) {
  const Shape& shape = outputs[0].shape;
  LATHE_ASSIGN_OR_RETURN(const std::vector<int32_t> sums,
                         MatMulSums(call, kLinearLeft, kLinearRight, shape));
  const auto left = call.ValuesOf<float>(kLinearLeft.scale);
  const auto right = call.ValuesOf<float>(kLinearRight.scale);
  const int64_t columns = shape.empty() ? 1 : shape.back();
  return Only(Requantize(call, outputs[0], sums, [&](int64_t i) {
    const size_t row = static_cast<size_t>(i / columns) % left.size();
    const size_t column = static_cast<size_t>(i % columns) % right.size();
    return left[row] * right[column];
  }));
}

// --------------------------------------------------------------------- Conv

absl::StatusOr<Window> ConvWindow(const OpCall& call, int data, int weights) {
  const Shape& in = call.ShapeOf(data);
  const Shape& kernel = call.ShapeOf(weights);
  if (in.size() < 3 || in.size() > 5 || in.size() != kernel.size()) {
    return call.Invalid(absl::StrCat("input ", ShapeToString(in),
                                     " and weights ", ShapeToString(kernel),
                                     " do not fit"));
  }
  const int64_t groups = call.node().IntOr("group", 1);
  if (groups < 1 || in[1] != kernel[1] * groups || kernel[0] % groups != 0) {
    return call.Invalid(absl::StrCat("group = ", groups, " does not fit ",
                                     ShapeToString(in), " and ",
                                     ShapeToString(kernel)));
  }
  absl::StatusOr<Window> window =
      ResolveWindow(call.node(), absl::MakeConstSpan(in).subspan(2),
                    absl::MakeConstSpan(kernel).subspan(2));
  if (!window.ok()) return call.Invalid(window.status().message());
  return window;
}

absl::StatusOr<Values> ConvOf(const OpCall& call, const Factor& data,
                              const Factor& weights, DataType type) {
  LATHE_RETURN_IF_ERROR(CheckFactor(call, data, /*axis=*/-1));
  LATHE_RETURN_IF_ERROR(CheckFactor(call, weights, /*axis=*/0));
  LATHE_ASSIGN_OR_RETURN(const Window window,
                         ConvWindow(call, data.levels, weights.levels));
  Shape shape = {call.ShapeOf(data.levels)[0], call.ShapeOf(weights.levels)[0]};
  shape.insert(shape.end(), window.out.begin(), window.out.end());
  return Values{{type, std::move(shape)}};
}

absl::StatusOr<std::vector<int32_t>> ConvSums(const OpCall& call,
                                              const Factor& data,
                                              const Factor& weights,
                                              const Shape& out_shape) {
  LATHE_ASSIGN_OR_RETURN(const Window window,
                         ConvWindow(call, data.levels, weights.levels));
  LATHE_ASSIGN_OR_RETURN(const std::vector<float> x,
                         CentredFactor(call, data, /*axis=*/-1));
  LATHE_ASSIGN_OR_RETURN(const std::vector<float> w,
                         CentredFactor(call, weights, /*axis=*/0));
  std::vector<int32_t> sums(ElementCount(out_shape));
  Convolve({out_shape[0], call.node().IntOr("group", 1),
            call.ShapeOf(data.levels)[1], out_shape[1]},
           window, x.data(), w.data(), nullptr, sums.data());
  return sums;
}

absl::StatusOr<Values> ConvIntegerRule(const OpCall& call) {
  return ConvOf(call, kIntegerLeft, kIntegerRight, DataType::kInt32);
}

absl::StatusOr<Tensors> ConvIntegerKernel(const OpCall& call,
                                          const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const std::vector<int32_t> sums,
      ConvSums(call, kIntegerLeft, kIntegerRight, outputs[0].shape));
  return Only(Tensor::Of<int32_t>(outputs[0].shape, sums));
}

constexpr int kLinearBias = 8;

absl::StatusOr<Values> LinearConvRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const DataType type, LinearType(call));
  LATHE_ASSIGN_OR_RETURN(Values out,
                         ConvOf(call, kLinearLeft, kLinearRight, type));
  if (call.Has(kLinearBias) &&
      (call.TypeOf(kLinearBias) != DataType::kInt32 ||
       call.ShapeOf(kLinearBias) != Shape{out[0].shape[1]})) {
    return call.Invalid("the bias is not one int32 for each channel");
  }
  return out;
}

absl::StatusOr<Tensors> LinearConvKernel(const OpCall& call,
                                         const Values& outputs) {
  const Shape& shape = outputs[0].shape;
  LATHE_ASSIGN_OR_RETURN(std::vector<int32_t> sums,
                         ConvSums(call, kLinearLeft, kLinearRight, shape));
  const int64_t plane = CountRange(shape, 2, shape.size());
  const auto channel = [&](int64_t i) { return i / plane % shape[1]; };
  if (call.Has(kLinearBias)) {
    for (size_t i = 0; i < sums.size(); ++i) {
      const int32_t bias =
          call.ValuesOf<int32_t>(kLinearBias)[channel(static_cast<int64_t>(i))];
      sums[i] = WrapCast<int32_t>(static_cast<uint64_t>(sums[i]) +
                                  static_cast<uint64_t>(bias));
    }
  }
  const float left = call.ValuesOf<float>(kLinearLeft.scale)[0];
  const auto right = call.ValuesOf<float>(kLinearRight.scale);
  return Only(Requantize(call, outputs[0], sums, [&](int64_t i) {
    return left * right[right.size() == 1 ? 0 : channel(i)];
  }));
}

// ---------------------------------------------------- DynamicQuantizeLinear

absl::StatusOr<Values> DynamicQuantizeRule(const OpCall& call) {
  return Values{{DataType::kUint8, call.ShapeOf(0)},
                {DataType::kFloat32, {}},
                {DataType::kUint8, {}}};
}

absl::StatusOr<Tensors> DynamicQuantizeKernel(const OpCall& call,
                                              const Values& outputs) {
  const auto in = call.ValuesOf<float>(0);
  const ActivationGrid grid = DynamicGridOf(in);
  const float zero_point = static_cast<float>(grid.zero_point);
  TensorBuilder<uint8_t> out(outputs[0]);
  std::transform(in.begin(), in.end(), out.data(), [&](float x) {
    const float level = std::nearbyint(x / grid.scale) + zero_point;
    // NaN becomes the zero point, as in QuantizeLinear here.
    const float known = std::isnan(level) ? zero_point : level;
    return static_cast<uint8_t>(std::min(std::max(known, 0.0f), 255.0f));
  });
  return Tensors{
      std::move(out).Build(),
      Tensor::Of<float>({}, std::vector<float>{grid.scale}),
      Tensor::Of<uint8_t>(
          {}, std::vector<uint8_t>{static_cast<uint8_t>(grid.zero_point)})};
}

}  // namespace

absl::Span<const OperatorDef> IntegerOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"MatMulInteger", 2, 4, OpTypes::kAny, MatMulIntegerRule,
       MatMulIntegerKernel, true},
      {"ConvInteger", 2, 4, OpTypes::kAny, ConvIntegerRule, ConvIntegerKernel,
       true},
      {"QLinearMatMul", 8, 8, OpTypes::kAny, LinearMatMulRule,
       LinearMatMulKernel, true},
      {"QLinearConv", 8, 9, OpTypes::kAny, LinearConvRule, LinearConvKernel,
       true},
      {"DynamicQuantizeLinear", 1, 1, OpTypes::kFloat32, DynamicQuantizeRule,
       DynamicQuantizeKernel},
  };
  return kOperators;
}

}  // namespace lathe
