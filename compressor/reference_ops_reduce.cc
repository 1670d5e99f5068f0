// Reductions over axes.
#include <algorithm>
#include <cmath>
#include <limits>
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

// The axes that are reduced: the attribute or input 1, else all.
absl::StatusOr<std::vector<int64_t>> ReducedAxes(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const auto given,
                         call.IntsOfAttributeOrInput("axes", 1));
  if (given.has_value() && !given->empty()) {
    return NormalizeAxes(call, *given, call.Rank(0));
  }
  std::vector<int64_t> axes;
  if (call.node().IntOr("noop_with_empty_axes", 0) != 0) return axes;
  for (int64_t d = 0; d < call.Rank(0); ++d) axes.push_back(d);
  return axes;
}

Shape ReducedShape(const Shape& in, const std::vector<int64_t>& axes,
                   bool keeps_dims) {
  Shape out;
  for (size_t d = 0; d < in.size(); ++d) {
    if (!std::binary_search(axes.begin(), axes.end(),
                            static_cast<int64_t>(d))) {
      out.push_back(in[d]);
    } else if (keeps_dims) {
      out.push_back(1);
    }
  }
  return out;
}

absl::StatusOr<Values> ReduceRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const auto axes, ReducedAxes(call));
  return Values{
      {call.TypeOf(0), ReducedShape(call.ShapeOf(0), axes,
                                    call.node().IntOr("keepdims", 1) != 0)}};
}

absl::StatusOr<Values> FloatReduceRule(const OpCall& call) {
  if (!IsFloat(call.TypeOf(0))) {
    return call.Unsupported(absl::StrCat("input is ",
                                         DataTypeName(call.TypeOf(0)),
                                         ", only floats are supported"));
  }
  return ReduceRule(call);
}

// A reduction of T: Start(), Step(sum, x), End(sum, count). Floats are summed
// in double, integers modulo 2^64.
template <typename T>
using Accumulator =
    std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

struct SumOf {
  template <typename T>
  static Accumulator<T> Start() {
    return 0;
  }
  template <typename T>
  static Accumulator<T> Step(Accumulator<T> sum, T x) {
    return sum + static_cast<Accumulator<T>>(x);
  }
  template <typename T>
  static T End(Accumulator<T> sum, int64_t count) {
    return static_cast<T>(sum);
  }
};

struct MeanOf : SumOf {
  template <typename T>
  static T End(Accumulator<T> sum, int64_t count) {
    return static_cast<T>(sum / static_cast<Accumulator<T>>(count));
  }
};

struct ProductOf : SumOf {
  template <typename T>
  static Accumulator<T> Start() {
    return 1;
  }
  template <typename T>
  static Accumulator<T> Step(Accumulator<T> product, T x) {
    return product * static_cast<Accumulator<T>>(x);
  }
};

struct SumSquareOf : SumOf {
  template <typename T>
  static Accumulator<T> Step(Accumulator<T> sum, T x) {
    return sum +
           static_cast<Accumulator<T>>(x) * static_cast<Accumulator<T>>(x);
  }
};

struct L1Of : SumOf {
  template <typename T>
  static Accumulator<T> Step(Accumulator<T> sum, T x) {
    return sum + std::abs(static_cast<double>(x));
  }
};

struct L2Of : SumSquareOf {
  template <typename T>
  static T End(Accumulator<T> sum, int64_t count) {
    return static_cast<T>(std::sqrt(sum));
  }
};

struct LogSumOf : SumOf {
  template <typename T>
  static T End(Accumulator<T> sum, int64_t count) {
    return static_cast<T>(std::log(sum));
  }
};

template <typename F>
absl::StatusOr<Tensors> ReduceKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const auto axes, ReducedAxes(call));
  const Shape& in = call.ShapeOf(0);
  const Shape kept = ReducedShape(in, axes, /*keeps_dims=*/true);
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    std::vector<Accumulator<T>> sums(out.size(), F::template Start<T>());
    const auto values = call.ValuesOf<T>(0);
    WalkStrided<1>(in, {BroadcastStrides(kept, in)},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     sums[at[0]] = F::template Step<T>(sums[at[0]], values[i]);
                   });
    const int64_t count = sums.empty() ? 0 : values.size() / sums.size();
    std::transform(
        sums.begin(), sums.end(), out.data(),
        [&](Accumulator<T> sum) { return F::template End<T>(sum, count); });
    return Only(std::move(out).Build());
  });
}

// Largest or smallest, in the type itself.
template <bool is_max>
absl::StatusOr<Tensors> ExtremeKernel(const OpCall& call,
                                      const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const auto axes, ReducedAxes(call));
  const Shape& in = call.ShapeOf(0);
  const Shape kept = ReducedShape(in, axes, /*keeps_dims=*/true);
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    using Limits = std::numeric_limits<T>;
    T start = is_max ? Limits::lowest() : Limits::max();
    if (Limits::has_infinity) {
      start = is_max ? static_cast<T>(-Limits::infinity()) : Limits::infinity();
    }
    TensorBuilder<T> out(outputs[0]);
    std::fill(out.data(), out.data() + out.size(), start);
    const auto values = call.ValuesOf<T>(0);
    WalkStrided<1>(in, {BroadcastStrides(kept, in)},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     T& extreme = out.data()[at[0]];
                     extreme = is_max ? std::max(extreme, values[i])
                                      : std::min(extreme, values[i]);
                   });
    return Only(std::move(out).Build());
  });
}

absl::StatusOr<Tensors> LogSumExpKernel(const OpCall& call,
                                        const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const auto axes, ReducedAxes(call));
  const Shape& in = call.ShapeOf(0);
  const std::vector<int64_t> strides =
      BroadcastStrides(ReducedShape(in, axes, /*keeps_dims=*/true), in);
  LATHE_ASSIGN_OR_RETURN(const Tensors largest,
                         ExtremeKernel<true>(call, outputs));
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    std::vector<double> sums(out.size(), 0.0);
    const auto values = call.ValuesOf<T>(0);
    const T* shift = Elements<T>(largest[0]);
    const auto finite = [](T x) { return std::isfinite(double(x)) ? x : T(0); };
    WalkStrided<1>(
        in, {strides}, [&](int64_t i, const std::array<int64_t, 1>& at) {
          sums[at[0]] +=
              std::exp(static_cast<double>(values[i] - finite(shift[at[0]])));
        });
    for (int64_t i = 0; i < out.size(); ++i) {
      out.data()[i] = static_cast<T>(std::log(sums[i]) + finite(shift[i]));
    }
    return Only(std::move(out).Build());
  });
}

absl::StatusOr<Values> ArgRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  if (call.ShapeOf(0)[axis] == 0) return call.Invalid("the axis is empty");
  return Values{
      {DataType::kInt64, ReducedShape(call.ShapeOf(0), {axis},
                                      call.node().IntOr("keepdims", 1) != 0)}};
}

template <bool is_max>
absl::StatusOr<Tensors> ArgKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalizeAxis(call, call.node().IntOr("axis", 0), call.Rank(0)));
  const bool takes_last = call.node().IntOr("select_last_index", 0) != 0;
  const Shape& in = call.ShapeOf(0);
  const int64_t size = in[axis];
  const int64_t inner = CountRange(in, axis + 1, in.size());
  return VisitType(call.TypeOf(0), [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<int64_t> out(outputs[0]);
    for (int64_t i = 0; i < out.size(); ++i) {
      const T* row =
          Elements<T>(call.TensorOf(0)) + i / inner * size * inner + i % inner;
      int64_t best = 0;
      for (int64_t k = 1; k < size; ++k) {
        const T x = row[k * inner];
        const T y = row[best * inner];
        const bool is_better = is_max ? x > y : x < y;
        if (is_better || (takes_last && x == y)) best = k;
      }
      out.data()[i] = best;
    }
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> ReduceOperators() {
  constexpr OpTypes kAny = OpTypes::kAny;
  static const OperatorDef kOperators[] = {
      {"ReduceSum", 1, 2, kAny, ReduceRule, ReduceKernel<SumOf>},
      {"ReduceProd", 1, 2, kAny, ReduceRule, ReduceKernel<ProductOf>},
      {"ReduceSumSquare", 1, 2, kAny, ReduceRule, ReduceKernel<SumSquareOf>},
      {"ReduceMean", 1, 2, kAny, FloatReduceRule, ReduceKernel<MeanOf>},
      {"ReduceL1", 1, 2, kAny, FloatReduceRule, ReduceKernel<L1Of>},
      {"ReduceL2", 1, 2, kAny, FloatReduceRule, ReduceKernel<L2Of>},
      {"ReduceLogSum", 1, 2, kAny, FloatReduceRule, ReduceKernel<LogSumOf>},
      {"ReduceLogSumExp", 1, 2, kAny, FloatReduceRule, LogSumExpKernel},
      {"ReduceMax", 1, 2, kAny, ReduceRule, ExtremeKernel<true>},
      {"ReduceMin", 1, 2, kAny, ReduceRule, ExtremeKernel<false>},
      {"ArgMax", 1, 1, kAny, ArgRule, ArgKernel<true>},
      {"ArgMin", 1, 1, kAny, ArgRule, ArgKernel<false>},
  };
  return kOperators;
}

}  // namespace lathe
