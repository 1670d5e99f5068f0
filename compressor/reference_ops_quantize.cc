// QuantizeLinear and DequantizeLinear, per tensor and per channel.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/onnx_tensor.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// The scale is one number, or one for each index of the axis.
absl::Status CheckScale(const OpCall& call) {
  if (call.node().IntOr("block_size", 0) != 0) {
    return call.Unsupported("block_size; use scales per tensor or per channel");
  }
  if (call.TypeOf(1) != DataType::kFloat32) {
    return call.Unsupported("the scale is not float32");
  }
  const Shape& scale = call.ShapeOf(1);
  if (call.Has(2) && ElementCount(call.ShapeOf(2)) != ElementCount(scale)) {
    return call.Invalid("scale and zero point differ in size");
  }
  if (ElementCount(scale) == 1) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 1), call.Rank(0)));
  if (scale != Shape{call.ShapeOf(0)[axis]}) {
    return call.Invalid(absl::StrCat("scale of shape ", ShapeToString(scale),
                                     " does not fit axis ", axis, " of ",
                                     ShapeToString(call.ShapeOf(0))));
  }
  return absl::OkStatus();
}

// Elements that share a scale, and how many scales there are.
struct Channels {
  int64_t inner = 1;
  int64_t count = 1;
  int64_t Of(int64_t element) const { return element / inner % count; }
};

Channels ChannelsOf(const OpCall& call) {
  const int64_t count = ElementCount(call.ShapeOf(1));
  if (count == 1) return Channels{};
  const int64_t rank = call.Rank(0);
  const int64_t axis = (call.node().IntOr("axis", 1) + rank) % rank;
  return Channels{CountRange(call.ShapeOf(0), axis + 1, rank), count};
}

bool IsLevelType(DataType type) {
  return type == DataType::kInt8 || type == DataType::kUint8 ||
         type == DataType::kInt16 || type == DataType::kUint16;
}

absl::StatusOr<Values> QuantizeRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckScale(call));
  DataType type = DataType::kUint8;
  if (call.Has(2)) {
    type = call.TypeOf(2);
  } else if (call.node().IntOr("output_dtype", 0) != 0) {
    LATHE_ASSIGN_OR_RETURN(
        type, DataTypeFromOnnx(call.node().IntOr("output_dtype", 0),
                               absl::StrCat("node \"", call.node().name,
                                            "\" (QuantizeLinear)")));
  }
  if (!IsLevelType(type)) {
    return call.Unsupported(
        absl::StrCat("levels of ", DataTypeName(type),
                     "; only integers of 8 and 16 bits are supported"));
  }
  return Values{{type, call.ShapeOf(0)}};
}

absl::StatusOr<Tensors> QuantizeKernel(const OpCall& call,
                                       const Values& outputs) {
  const Channels channels = ChannelsOf(call);
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const double least = static_cast<double>(std::numeric_limits<T>::lowest());
    const double most = static_cast<double>(std::numeric_limits<T>::max());
    for (int64_t i = 0; i < out.size(); ++i) {
      const int64_t c = channels.Of(i);
      const double offset =
          call.Has(2) ? static_cast<double>(call.ValuesOf<T>(2)[c]) : 0.0;
      const double level = std::nearbyint(call.ValuesOf<float>(0)[i] /
                                          call.ValuesOf<float>(1)[c]) +
                           offset;
      // NaN becomes the zero point.
      out.data()[i] = static_cast<T>(
          std::isnan(level) ? offset : std::min(std::max(level, least), most));
    }
    return Only(std::move(out).Build());
  });
}

absl::StatusOr<Values> DequantizeRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckScale(call));
  const DataType type = call.TypeOf(0);
  if (!IsLevelType(type) && type != DataType::kInt32) {
    return call.Unsupported(absl::StrCat("levels of ", DataTypeName(type)));
  }
  if (call.Has(2) && call.TypeOf(2) != type) {
    return call.Invalid("levels and zero point have different types");
  }
  return Values{{DataType::kFloat32, call.ShapeOf(0)}};
}

absl::StatusOr<Tensors> DequantizeKernel(const OpCall& call,
                                         const Values& outputs) {
  const Channels channels = ChannelsOf(call);
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<float> out(outputs[0]);
    for (int64_t i = 0; i < out.size(); ++i) {
      const int64_t c = channels.Of(i);
      const int64_t offset =
          call.Has(2) ? static_cast<int64_t>(call.ValuesOf<T>(2)[c]) : 0;
      const int64_t level = static_cast<int64_t>(call.ValuesOf<T>(0)[i]);
      out.data()[i] =
          static_cast<float>(level - offset) * call.ValuesOf<float>(1)[c];
    }
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> QuantizeOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"QuantizeLinear", 2, 3, OpTypes::kFirstFloat32, QuantizeRule,
       QuantizeKernel},
      {"DequantizeLinear", 2, 3, OpTypes::kAny, DequantizeRule,
       DequantizeKernel},
  };
  return kOperators;
}

}  // namespace lathe
