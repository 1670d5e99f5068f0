// Operators on several tensors that broadcast, element by element.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/numeric_cast.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// All inputs of one type, broadcast together.
absl::StatusOr<Values> BroadcastRule(const OpCall& call) {
  OpValue out = call.In(0);
  for (int i = 1; i < call.InputCount(); ++i) {
    if (!call.Has(i))
      return call.Invalid(absl::StrCat("input ", i, " is missing"));
    if (call.TypeOf(i) != out.type) {
      return call.Invalid(absl::StrCat("inputs are ", DataTypeName(out.type),
                                       " and ", DataTypeName(call.TypeOf(i))));
    }
    LATHE_ASSIGN_OR_RETURN(out.shape,
                           BroadcastShapes(call, out.shape, call.ShapeOf(i)));
  }
  return Values{out};
}

// Numbers only: bool has no arithmetic.
absl::StatusOr<Values> NumberRule(const OpCall& call) {
  if (call.TypeOf(0) == DataType::kBool) {
    return call.Invalid("inputs are bool, not numbers");
  }
  return BroadcastRule(call);
}

absl::StatusOr<Values> CompareRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(Values out, BroadcastRule(call));
  out[0].type = DataType::kBool;
  return out;
}

absl::StatusOr<Values> LogicRule(const OpCall& call) {
  if (call.TypeOf(0) != DataType::kBool)
    return call.Invalid("inputs are no bool");
  return BroadcastRule(call);
}

// f(a, b) over two broadcast tensors of T, as U.
template <typename T, typename U, typename F>
Tensor Combine(const Tensor& a, const Tensor& b, const OpValue& output, F f) {
  TensorBuilder<U> out(output);
  const T* left = a.values<T>().data();
  const T* right = b.values<T>().data();
  U* result = out.data();
  if (a.shape() == b.shape() && a.shape() == output.shape) {
    for (int64_t i = 0; i < out.size(); ++i) result[i] = f(left[i], right[i]);
  } else {
    WalkStrided<2>(output.shape,
                   {BroadcastStrides(a.shape(), output.shape),
                    BroadcastStrides(b.shape(), output.shape)},
                   [&](int64_t i, const std::array<int64_t, 2>& at) {
                     result[i] = f(left[at[0]], right[at[1]]);
                   });
  }
  return std::move(out).Build();
}

// Arithmetic in the type itself, modulo 2^n for integers.
struct AddOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a + b;
    return WrapCast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};

struct SubOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a - b;
    return WrapCast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};

struct MulOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a * b;
    return WrapCast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};

// REQUIRES: b is not 0 for integers.
struct DivOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a / b;
    if constexpr (std::is_signed_v<T>) {
      // The lowest integer / -1 overflows.
      if (b == T(-1)) return SubOf()(T(0), a);
    }
    return static_cast<T>(a / b);
  }
};

// With the sign of the divisor, as in Python. REQUIRES: b is not 0 for
// integers.
struct ModOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a - b * std::floor(a / b);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return T(0);
      }
      const T rest = static_cast<T>(a % b);
      return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b)
                                                : rest;
    }
  }
};

// With the sign of the dividend, as in C.
struct FmodOf {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return T(0);
      }
      return static_cast<T>(a % b);
    }
  }
};

struct MinOf {
  template <typename T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

struct MaxOf {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

struct PReluOf {
  template <typename T>
  T operator()(T x, T slope) const {
    return x < T(0) ? MulOf()(x, slope) : x;
  }
};

template <typename F>
absl::StatusOr<Tensors> NumberKernel(const OpCall& call,
                                     const Values& outputs) {
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    return Only(
        Combine<T, T>(call.TensorOf(0), call.TensorOf(1), outputs[0], F()));
  });
}

// NumberKernel for what integers cannot do by 0.
template <typename F>
absl::StatusOr<Tensors> DivisionKernel(const OpCall& call,
                                       const Values& outputs) {
  const bool divides_by_zero = VisitType(call.TypeOf(1), [&](auto zero) {
    using T = decltype(zero);
    const auto divisors = call.ValuesOf<T>(1);
    return std::is_integral_v<T> &&
           std::find(divisors.begin(), divisors.end(), T(0)) != divisors.end();
  });
  if (divides_by_zero) return call.Invalid("divides an integer by 0");
  return NumberKernel<F>(call, outputs);
}

absl::StatusOr<Tensors> ModKernel(const OpCall& call, const Values& outputs) {
  return call.node().IntOr("fmod", 0) != 0
             ? DivisionKernel<FmodOf>(call, outputs)
             : DivisionKernel<ModOf>(call, outputs);
}

// Any number of inputs, from the left.
template <typename F>
absl::StatusOr<Tensors> FoldKernel(const OpCall& call, const Values& outputs) {
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    // A first step with itself would double a sum, so it starts broadcast.
    TensorBuilder<T> start(outputs[0]);
    WalkStrided<1>(outputs[0].shape,
                   {BroadcastStrides(call.ShapeOf(0), outputs[0].shape)},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     start.data()[i] = call.ValuesOf<T>(0)[at[0]];
                   });
    Tensor folded = std::move(start).Build();
    for (int i = 1; i < call.InputCount(); ++i) {
      folded = Combine<T, T>(folded, call.TensorOf(i), outputs[0], F());
    }
    return Only(folded);
  });
}

absl::StatusOr<Values> MeanRule(const OpCall& call) {
  if (!IsFloat(call.TypeOf(0))) return call.Invalid("inputs are no floats");
  return BroadcastRule(call);
}

absl::StatusOr<Tensors> MeanKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Tensors sum, FoldKernel<AddOf>(call, outputs));
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    const Tensor count = Tensor(call.TypeOf(0), {}, [&] {
      const T value = static_cast<T>(call.InputCount());
      return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
    }());
    return Only(Combine<T, T>(sum[0], count, outputs[0], DivOf()));
  });
}

// The base's type; the exponent may have another.
absl::StatusOr<Values> PowRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(
      Shape shape, BroadcastShapes(call, call.ShapeOf(0), call.ShapeOf(1)));
  return Values{{call.TypeOf(0), std::move(shape)}};
}

absl::StatusOr<Tensors> PowKernel(const OpCall& call, const Values& outputs) {
  return VisitType(call.TypeOf(0), [&](auto base_zero) {
    using T = decltype(base_zero);
    return VisitType(call.TypeOf(1), [&](auto exponent_zero) {
      using U = decltype(exponent_zero);
      TensorBuilder<T> out(outputs[0]);
      const auto base = call.ValuesOf<T>(0);
      const auto exponent = call.ValuesOf<U>(1);
      WalkStrided<2>(outputs[0].shape,
                     {BroadcastStrides(call.ShapeOf(0), outputs[0].shape),
                      BroadcastStrides(call.ShapeOf(1), outputs[0].shape)},
                     [&](int64_t i, const std::array<int64_t, 2>& at) {
                       out.data()[i] = NumericCast<T>(
                           std::pow(static_cast<double>(base[at[0]]),
                                    static_cast<double>(exponent[at[1]])));
                     });
      return Only(std::move(out).Build());
    });
  });
}

struct EqualTo {
  template <typename T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct LessThan {
  template <typename T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct AtMost {
  template <typename T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct GreaterThan {
  template <typename T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct AtLeast {
  template <typename T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct Both {
  bool operator()(uint8_t a, uint8_t b) const { return a && b; }
};
struct Either {
  bool operator()(uint8_t a, uint8_t b) const { return a || b; }
};
struct OnlyOne {
  bool operator()(uint8_t a, uint8_t b) const { return !a != !b; }
};

template <typename F>
absl::StatusOr<Tensors> CompareKernel(const OpCall& call,
                                      const Values& outputs) {
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    return Only(Combine<T, uint8_t>(call.TensorOf(0), call.TensorOf(1),
                                    outputs[0], F()));
  });
}

template <typename F>
absl::StatusOr<Tensors> LogicKernel(const OpCall& call, const Values& outputs) {
  return Only(Combine<uint8_t, uint8_t>(call.TensorOf(0), call.TensorOf(1),
                                        outputs[0], F()));
}

// The slope broadcasts to the input, never the other way round.
absl::StatusOr<Values> PReluRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(Values out, NumberRule(call));
  if (out[0].shape != call.ShapeOf(0)) {
    return call.Invalid(
        absl::StrCat("slope of shape ", ShapeToString(call.ShapeOf(1)),
                     " does not fit ", ShapeToString(call.ShapeOf(0))));
  }
  return out;
}

absl::StatusOr<Values> WhereRule(const OpCall& call) {
  if (call.TypeOf(0) != DataType::kBool)
    return call.Invalid("input 0 is no bool");
  if (call.TypeOf(1) != call.TypeOf(2)) {
    return call.Invalid("inputs 1 and 2 have different types");
  }
  LATHE_ASSIGN_OR_RETURN(
      const Shape branches,
      BroadcastShapes(call, call.ShapeOf(1), call.ShapeOf(2)));
  LATHE_ASSIGN_OR_RETURN(Shape shape,
                         BroadcastShapes(call, call.ShapeOf(0), branches));
  return Values{{call.TypeOf(1), std::move(shape)}};
}

absl::StatusOr<Tensors> WhereKernel(const OpCall& call, const Values& outputs) {
  const Shape& shape = outputs[0].shape;
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const auto condition = call.ValuesOf<uint8_t>(0);
    const T* yes = Elements<T>(call.TensorOf(1));
    const T* no = Elements<T>(call.TensorOf(2));
    WalkStrided<3>(shape,
                   {BroadcastStrides(call.ShapeOf(0), shape),
                    BroadcastStrides(call.ShapeOf(1), shape),
                    BroadcastStrides(call.ShapeOf(2), shape)},
                   [&](int64_t i, const std::array<int64_t, 3>& at) {
                     out.data()[i] = condition[at[0]] ? yes[at[1]] : no[at[2]];
                   });
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> BinaryOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static const OperatorDef kOperators[] = {
      {"Add", 2, 2, kAny, NumberRule, NumberKernel<AddOf>},
      {"Sub", 2, 2, kAny, NumberRule, NumberKernel<SubOf>},
      {"Mul", 2, 2, kAny, NumberRule, NumberKernel<MulOf>},
      {"Div", 2, 2, kAny, NumberRule, DivisionKernel<DivOf>},
      {"Mod", 2, 2, kAny, NumberRule, ModKernel},
      {"Pow", 2, 2, kAny, PowRule, PowKernel},
      {"PRelu", 2, 2, kAny, PReluRule, NumberKernel<PReluOf>},
      {"Min", 1, kAnyCount, kAny, NumberRule, FoldKernel<MinOf>},
      {"Max", 1, kAnyCount, kAny, NumberRule, FoldKernel<MaxOf>},
      {"Sum", 1, kAnyCount, kAny, NumberRule, FoldKernel<AddOf>},
      {"Mean", 1, kAnyCount, kAny, MeanRule, MeanKernel},
      {"Equal", 2, 2, kAny, CompareRule, CompareKernel<EqualTo>},
      {"Less", 2, 2, kAny, CompareRule, CompareKernel<LessThan>},
      {"LessOrEqual", 2, 2, kAny, CompareRule, CompareKernel<AtMost>},
      {"Greater", 2, 2, kAny, CompareRule, CompareKernel<GreaterThan>},
      {"GreaterOrEqual", 2, 2, kAny, CompareRule, CompareKernel<AtLeast>},
      {"And", 2, 2, kAny, LogicRule, LogicKernel<Both>},
      {"Or", 2, 2, kAny, LogicRule, LogicKernel<Either>},
      {"Xor", 2, 2, kAny, LogicRule, LogicKernel<OnlyOne>},
      {"Where", 3, 3, kAny, WhereRule, WhereKernel},
  };
  return kOperators;
}

}  // namespace lathe
