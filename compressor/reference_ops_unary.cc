// Operators on one tensor, element by element.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
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

absl::StatusOr<Values> FloatRule(const OpCall& call) {
  if (!IsFloat(call.TypeOf(0))) {
    return call.Unsupported(absl::StrCat("input is ",
                                         DataTypeName(call.TypeOf(0)),
                                         ", only floats are supported"));
  }
  return LikeInput(call);
}

template <typename T, typename F>
Tensor MapValues(const OpCall& call, const OpValue& output, F f) {
  TensorBuilder<T> out(output);
  const auto in = call.ValuesOf<T>(0);
  std::transform(in.begin(), in.end(), out.data(), f);
  return std::move(out).Build();
}

// f for float32 and float64. REQUIRES: the input is one of them.
template <typename F>
absl::StatusOr<Tensors> MapFloats(const OpCall& call, const Values& outputs,
                                  F f) {
  if (call.TypeOf(0) == DataType::kFloat64) {
    return Only(MapValues<double>(call, outputs[0], f));
  }
  return Only(MapValues<float>(call, outputs[0], f));
}

// f for all numbers.
template <typename F>
absl::StatusOr<Tensors> MapNumbers(const OpCall& call, const Values& outputs,
                                   F f) {
  return VisitType(call.TypeOf(0), [&](auto zero) {
    return Only(MapValues<decltype(zero)>(call, outputs[0], f));
  });
}

// The kernel of a function object without state, on floats.
template <typename F>
absl::StatusOr<Tensors> FloatKernel(const OpCall& call, const Values& outputs) {
  return MapFloats(call, outputs, F());
}

template <typename T>
T Sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

template <typename T>
T Softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

// NaN stays NaN, as in ONNX Runtime.
template <typename T>
T Relu(T x) {
  return x < T(0) ? T(0) : x;
}

template <typename T>
T HardSigmoid(T x, T alpha, T beta) {
  return std::max(T(0), std::min(T(1), alpha * x + beta));
}

struct SigmoidOf {
  template <typename T>
  T operator()(T x) const {
    return Sigmoid(x);
  }
};

struct HardSwishOf {
  template <typename T>
  T operator()(T x) const {
    return x * HardSigmoid<T>(x, T(1) / T(6), T(0.5));
  }
};

struct TanhOf {
  template <typename T>
  T operator()(T x) const {
    return std::tanh(x);
  }
};

struct MishOf {
  template <typename T>
  T operator()(T x) const {
    return x * std::tanh(Softplus(x));
  }
};

struct SoftplusOf {
  template <typename T>
  T operator()(T x) const {
    return Softplus(x);
  }
};

struct SoftsignOf {
  template <typename T>
  T operator()(T x) const {
    return x / (T(1) + std::abs(x));
  }
};

struct SqrtOf {
  template <typename T>
  T operator()(T x) const {
    return std::sqrt(x);
  }
};

struct ExpOf {
  template <typename T>
  T operator()(T x) const {
    return std::exp(x);
  }
};

struct LogOf {
  template <typename T>
  T operator()(T x) const {
    return std::log(x);
  }
};

struct ErfOf {
  template <typename T>
  T operator()(T x) const {
    return std::erf(x);
  }
};

// A function of the C library, in its own precision.
template <double (*function)(double)>
struct LibraryOf {
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>(function(x));
  }
};

struct FloorOf {
  template <typename T>
  T operator()(T x) const {
    return std::floor(x);
  }
};

struct CeilOf {
  template <typename T>
  T operator()(T x) const {
    return std::ceil(x);
  }
};

struct RoundOf {
  template <typename T>
  T operator()(T x) const {
    return std::nearbyint(x);
  }
};

struct ReciprocalOf {
  template <typename T>
  T operator()(T x) const {
    return T(1) / x;
  }
};

absl::StatusOr<Tensors> ReluKernel(const OpCall& call, const Values& outputs) {
  return MapNumbers(call, outputs, [](auto x) { return Relu(x); });
}

absl::StatusOr<Tensors> LeakyReluKernel(const OpCall& call,
                                        const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 0.01f);
  return MapFloats(call, outputs, [alpha](auto x) {
    return x < 0 ? static_cast<decltype(x)>(alpha) * x : x;
  });
}

absl::StatusOr<Tensors> ThresholdedReluKernel(const OpCall& call,
                                              const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 1.0f);
  return MapFloats(call, outputs,
                   [alpha](auto x) { return x > alpha ? x : decltype(x)(0); });
}

absl::StatusOr<Tensors> EluKernel(const OpCall& call, const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 1.0f);
  return MapFloats(call, outputs, [alpha](auto x) {
    return x < 0 ? static_cast<decltype(x)>(alpha * std::expm1(x)) : x;
  });
}

absl::StatusOr<Tensors> CeluKernel(const OpCall& call, const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 1.0f);
  return MapFloats(call, outputs, [alpha](auto x) {
    return x < 0 ? static_cast<decltype(x)>(alpha * std::expm1(x / alpha)) : x;
  });
}

absl::StatusOr<Tensors> SeluKernel(const OpCall& call, const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 1.67326319217681884765625f);
  const float gamma = call.node().FloatOr("gamma", 1.05070102214813232421875f);
  return MapFloats(call, outputs, [=](auto x) {
    return static_cast<decltype(x)>(
        x < 0 ? gamma * (alpha * std::exp(x) - alpha) : gamma * x);
  });
}

absl::StatusOr<Tensors> ShrinkKernel(const OpCall& call,
                                     const Values& outputs) {
  const float bias = call.node().FloatOr("bias", 0.0f);
  const float lambd = call.node().FloatOr("lambd", 0.5f);
  return MapFloats(call, outputs, [=](auto x) {
    using T = decltype(x);
    return x < -lambd ? x + T(bias) : x > lambd ? x - T(bias) : T(0);
  });
}

absl::StatusOr<Tensors> HardSigmoidKernel(const OpCall& call,
                                          const Values& outputs) {
  const float alpha = call.node().FloatOr("alpha", 0.2f);
  const float beta = call.node().FloatOr("beta", 0.5f);
  return MapFloats(call, outputs, [=](auto x) {
    using T = decltype(x);
    return HardSigmoid<T>(x, alpha, beta);
  });
}

absl::StatusOr<Tensors> GeluKernel(const OpCall& call, const Values& outputs) {
  if (call.node().StringOr("approximate", "none") == "tanh") {
    return MapFloats(call, outputs, [](auto x) {
      using T = decltype(x);
      const T inner = T(0.7978845608028654) * (x + T(0.044715) * x * x * x);
      return T(0.5) * x * (T(1) + std::tanh(inner));
    });
  }
  return MapFloats(call, outputs, [](auto x) {
    using T = decltype(x);
    return T(0.5) * x * (T(1) + std::erf(x * T(0.7071067811865476)));
  });
}

absl::StatusOr<Tensors> AbsKernel(const OpCall& call, const Values& outputs) {
  return MapNumbers(call, outputs, [](auto x) {
    using T = decltype(x);
    if constexpr (std::is_floating_point_v<T>) {
      return std::abs(x);
    } else {
      return x < T(0) ? WrapCast<T>(uint64_t{0} - static_cast<uint64_t>(x)) : x;
    }
  });
}

absl::StatusOr<Tensors> NegKernel(const OpCall& call, const Values& outputs) {
  return MapNumbers(call, outputs, [](auto x) {
    using T = decltype(x);
    if constexpr (std::is_floating_point_v<T>) {
      return -x;
    } else {
      return WrapCast<T>(uint64_t{0} - static_cast<uint64_t>(x));
    }
  });
}

absl::StatusOr<Tensors> SignKernel(const OpCall& call, const Values& outputs) {
  return MapNumbers(call, outputs, [](auto x) {
    using T = decltype(x);
    return x > T(0) ? T(1) : x < T(0) ? static_cast<T>(-1) : x;
  });
}

// Clip: attributes min and max, or inputs 1 and 2 since opset 11.
absl::StatusOr<Values> ClipRule(const OpCall& call) {
  for (const int i : {1, 2}) {
    if (!call.Has(i)) continue;
    if (call.TypeOf(i) != call.TypeOf(0) ||
        ElementCount(call.ShapeOf(i)) != 1) {
      return call.Invalid(
          absl::StrCat("input ", i, " is not one number of the input's type"));
    }
  }
  return LikeInput(call);
}

template <typename T>
T ClipBound(const OpCall& call, int input, const char* attribute, T fallback) {
  if (call.Has(input)) return call.ValuesOf<T>(input)[0];
  if (!call.HasAttribute(attribute)) return fallback;
  return NumericCast<T>(call.node().FloatOr(attribute, 0));
}

absl::StatusOr<Tensors> ClipKernel(const OpCall& call, const Values& outputs) {
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    const T low =
        ClipBound<T>(call, 1, "min", std::numeric_limits<T>::lowest());
    const T high = ClipBound<T>(call, 2, "max", std::numeric_limits<T>::max());
    return Only(MapValues<T>(call, outputs[0], [=](T x) {
      return x < low ? (low < high ? low : high) : x > high ? high : x;
    }));
  });
}

}  // namespace

absl::Span<const OperatorDef> UnaryOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static const OperatorDef kOperators[] = {
      {"Relu", 1, 1, kAny, LikeInput, ReluKernel},
      {"LeakyRelu", 1, 1, kAny, FloatRule, LeakyReluKernel},
      {"ThresholdedRelu", 1, 1, kAny, FloatRule, ThresholdedReluKernel},
      {"Elu", 1, 1, kAny, FloatRule, EluKernel},
      {"Celu", 1, 1, kAny, FloatRule, CeluKernel},
      {"Selu", 1, 1, kAny, FloatRule, SeluKernel},
      {"Sigmoid", 1, 1, kAny, FloatRule, FloatKernel<SigmoidOf>},
      {"HardSigmoid", 1, 1, kAny, FloatRule, HardSigmoidKernel},
      {"HardSwish", 1, 1, kAny, FloatRule, FloatKernel<HardSwishOf>},
      {"Tanh", 1, 1, kAny, FloatRule, FloatKernel<TanhOf>},
      {"Gelu", 1, 1, kAny, FloatRule, GeluKernel},
      {"Mish", 1, 1, kAny, FloatRule, FloatKernel<MishOf>},
      {"Softplus", 1, 1, kAny, FloatRule, FloatKernel<SoftplusOf>},
      {"Softsign", 1, 1, kAny, FloatRule, FloatKernel<SoftsignOf>},
      {"Clip", 1, 3, kAny, ClipRule, ClipKernel},
      {"Sqrt", 1, 1, kAny, FloatRule, FloatKernel<SqrtOf>},
      {"Exp", 1, 1, kAny, FloatRule, FloatKernel<ExpOf>},
      {"Log", 1, 1, kAny, FloatRule, FloatKernel<LogOf>},
      {"Erf", 1, 1, kAny, FloatRule, FloatKernel<ErfOf>},
      {"Sin", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::sin>>},
      {"Cos", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::cos>>},
      {"Tan", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::tan>>},
      {"Asin", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::asin>>},
      {"Acos", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::acos>>},
      {"Atan", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::atan>>},
      {"Sinh", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::sinh>>},
      {"Cosh", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::cosh>>},
      {"Asinh", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::asinh>>},
      {"Acosh", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::acosh>>},
      {"Atanh", 1, 1, kAny, FloatRule, FloatKernel<LibraryOf<std::atanh>>},
      {"Shrink", 1, 1, kAny, FloatRule, ShrinkKernel},
      {"Floor", 1, 1, kAny, FloatRule, FloatKernel<FloorOf>},
      {"Ceil", 1, 1, kAny, FloatRule, FloatKernel<CeilOf>},
      {"Round", 1, 1, kAny, FloatRule, FloatKernel<RoundOf>},
      {"Reciprocal", 1, 1, kAny, FloatRule, FloatKernel<ReciprocalOf>},
      {"Abs", 1, 1, kAny, LikeInput, AbsKernel},
      {"Neg", 1, 1, kAny, LikeInput, NegKernel},
      {"Sign", 1, 1, kAny, LikeInput, SignKernel},
  };
  return kOperators;
}

}  // namespace lathe
