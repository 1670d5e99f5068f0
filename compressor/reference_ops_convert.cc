// Operators that pass values on, test them, or change their type.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/numeric_cast.h"
#include "compressor/onnx_tensor.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

absl::StatusOr<Values> BoolRule(const OpCall& call) {
  return Values{{DataType::kBool, call.ShapeOf(0)}};
}

absl::StatusOr<Values> NotRule(const OpCall& call) {
  if (call.TypeOf(0) != DataType::kBool)
    return call.Invalid("input is no bool");
  return LikeInput(call);
}

absl::StatusOr<Tensors> NotKernel(const OpCall& call, const Values& outputs) {
  TensorBuilder<uint8_t> out(outputs[0]);
  const auto in = call.ValuesOf<uint8_t>(0);
  std::transform(in.begin(), in.end(), out.data(),
                 [](uint8_t x) { return x == 0 ? 1 : 0; });
  return Only(std::move(out).Build());
}

template <typename Claim>
absl::StatusOr<Tensors> TestFloats(const OpCall& call, const Values& outputs,
                                   Claim claim) {
  if (!IsFloat(call.TypeOf(0))) return call.Unsupported("input is no float");
  TensorBuilder<uint8_t> out(outputs[0]);
  VisitType(call.TypeOf(0), [&](auto zero) {
    const auto in = call.ValuesOf<decltype(zero)>(0);
    std::transform(in.begin(), in.end(), out.data(),
                   [&](auto x) { return claim(static_cast<double>(x)); });
    return 0;
  });
  return Only(std::move(out).Build());
}

absl::StatusOr<Tensors> IsNanKernel(const OpCall& call, const Values& outputs) {
  return TestFloats(call, outputs, [](double x) { return std::isnan(x); });
}

absl::StatusOr<Tensors> IsInfKernel(const OpCall& call, const Values& outputs) {
  const bool up = call.node().IntOr("detect_positive", 1) != 0;
  const bool down = call.node().IntOr("detect_negative", 1) != 0;
  return TestFloats(call, outputs, [=](double x) {
    return std::isinf(x) && (x > 0 ? up : down);
  });
}

absl::StatusOr<Tensors> IdentityKernel(const OpCall& call,
                                       const Values& outputs) {
  return Only(call.TensorOf(0));
}

// Dropout at inference: the input, and a mask of ones.
absl::StatusOr<Values> DropoutRule(const OpCall& call) {
  if (call.Has(2)) {
    if (!call.IsKnown(2) || call.TypeOf(2) != DataType::kBool ||
        call.TensorOf(2).bytes() != std::string(1, '\0')) {
      return call.Unsupported("training_mode is not constant false");
    }
  }
  return Values{call.In(0), {DataType::kBool, call.ShapeOf(0)}};
}

absl::StatusOr<Tensors> DropoutKernel(const OpCall& call,
                                      const Values& outputs) {
  TensorBuilder<uint8_t> mask(outputs[1]);
  std::fill(mask.data(), mask.data() + mask.size(), 1);
  return Tensors{call.TensorOf(0), std::move(mask).Build()};
}

absl::StatusOr<Values> CastRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(
      const DataType to,
      DataTypeFromOnnx(call.node().IntOr("to", 0),
                       absl::StrCat("node \"", call.node().name, "\"")));
  return Values{{to, call.ShapeOf(0)}};
}

absl::StatusOr<Values> CastLikeRule(const OpCall& call) {
  return Values{{call.TypeOf(1), call.ShapeOf(0)}};
}

absl::StatusOr<Tensors> CastKernel(const OpCall& call, const Values& outputs) {
  const DataType to = outputs[0].type;
  if (to == DataType::kFloat16 || to == DataType::kBfloat16) {
    return call.Unsupported("a cast to 16-bit floats");
  }
  const Tensor in = WidenHalf(call.TensorOf(0));
  if (in.type() == to) return Only(in);
  return VisitType(in.type(), [&](auto from_zero) {
    using From = decltype(from_zero);
    return VisitType(to, [&](auto to_zero) {
      using To = decltype(to_zero);
      TensorBuilder<To> out(outputs[0]);
      const auto values = in.values<From>();
      std::transform(values.begin(), values.end(), out.data(), [to](From x) {
        if (to == DataType::kBool) return static_cast<To>(x != From(0));
        return NumericCast<To>(x);
      });
      return Only(std::move(out).Build());
    });
  });
}

}  // namespace

absl::Span<const OperatorDef> ConvertOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static constexpr OperatorDef kOperators[] = {
      {"Not", 1, 1, kAny, NotRule, NotKernel},
      {"IsNaN", 1, 1, kAny, BoolRule, IsNanKernel},
      {"IsInf", 1, 1, kAny, BoolRule, IsInfKernel},
      {"Identity", 1, 1, kAny, LikeInput, IdentityKernel},
      {"Dropout", 1, 3, kAny, DropoutRule, DropoutKernel},
      {"Cast", 1, 1, kAny, CastRule, CastKernel},
      {"CastLike", 2, 2, kAny, CastLikeRule, CastKernel},
  };
  return kOperators;
}

}  // namespace lathe
