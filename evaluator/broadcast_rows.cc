#include "evaluator/broadcast_rows.h"

#include <algorithm>
#include <cstring>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// A row by vectors.
template <typename Vector, typename T>
struct VectorsOf {
  const T* first = nullptr;
  bool is_one = false;
  Vector one;
};

template <typename Vector, typename T>
[[gnu::always_inline]] inline void Begin(const RowOf<T>& row,
                                         VectorsOf<Vector, T>& vectors) {
  vectors.first = row.first;
  vectors.is_one = row.is_one;
  // Less zeros, since more would make a positive zero of a negative one.
  if (row.is_one) vectors.one = *row.first - Vector{};
}

// The `count` elements from `i` on; what lies behind them is filled up with
// ones, so that nothing is divided by zero.
template <typename Vector, typename T>
[[gnu::always_inline]] inline void LoadFirst(const VectorsOf<Vector, T>& row,
                                             int64_t i, int64_t count,
                                             Vector& to) {
  if (row.is_one) {
    to = row.one;
  } else if (count == kWidth) {
    std::memcpy(&to, row.first + i, sizeof(to));
  } else {
    to = Vector{} + static_cast<T>(1);
    std::memcpy(&to, row.first + i, count * sizeof(T));
  }
}

template <Arithmetic kOp>
[[gnu::always_inline]] inline void Combine(const Floats& a, const Floats& b,
                                           Floats& out) {
  if (kOp == Arithmetic::kAdd) out = a + b;
  if (kOp == Arithmetic::kSubtract) out = a - b;
  if (kOp == Arithmetic::kMultiply) out = a * b;
  if (kOp == Arithmetic::kDivide) out = a / b;
  if (kOp == Arithmetic::kMost) out = a > b ? a : b;
  if (kOp == Arithmetic::kLeast) out = a < b ? a : b;
}

template <Arithmetic kOp>
[[gnu::always_inline]] inline void ArithmeticBody(const RowOf<float>& a,
                                                  const RowOf<float>& b,
                                                  int64_t size, float* out) {
  VectorsOf<Floats, float> first;
  VectorsOf<Floats, float> second;
  Begin(a, first);
  Begin(b, second);
  Floats x;
  Floats y;
  Floats result;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    LoadFirst(first, i, kWidth, x);
    LoadFirst(second, i, kWidth, y);
    Combine<kOp>(x, y, result);
    Store(result, out + i);
  }
  if (i == size) return;
  LoadFirst(first, i, size - i, x);
  LoadFirst(second, i, size - i, y);
  Combine<kOp>(x, y, result);
  std::memcpy(out + i, &result, (size - i) * sizeof(float));
}

template <Arithmetic kOp>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
ArithmeticAvx512(const RowOf<float>& a, const RowOf<float>& b, int64_t size,
                 float* out) {
  ArithmeticBody<kOp>(a, b, size, out);
}
template <Arithmetic kOp>
__attribute__((target("avx2,fma"))) void ArithmeticAvx2(const RowOf<float>& a,
                                                        const RowOf<float>& b,
                                                        int64_t size,
                                                        float* out) {
  ArithmeticBody<kOp>(a, b, size, out);
}
template <Arithmetic kOp>
void ArithmeticPlain(const RowOf<float>& a, const RowOf<float>& b, int64_t size,
                     float* out) {
  ArithmeticBody<kOp>(a, b, size, out);
}

template <Arithmetic kOp>
ArithmeticRow OfThisMachine() {
  return OfWidestIsa(ArithmeticAvx512<kOp>, ArithmeticAvx2<kOp>,
                     ArithmeticPlain<kOp>);
}

typedef uint8_t Flags __attribute__((vector_size(kWidth)));

struct Choices {
  VectorsOf<Flags, uint8_t> condition;
  VectorsOf<Ints, int32_t> yes;
  VectorsOf<Ints, int32_t> no;
};

[[gnu::always_inline]] inline void Choose(const Choices& choices, int64_t i,
                                          int64_t count, Ints& chosen) {
  Flags flags;
  Ints a;
  Ints b;
  LoadFirst(choices.condition, i, count, flags);
  LoadFirst(choices.yes, i, count, a);
  LoadFirst(choices.no, i, count, b);
  const Ints is_yes = __builtin_convertvector(flags, Ints);
  chosen = is_yes != 0 ? a : b;
}

[[gnu::always_inline]] inline void ChoiceBody(const RowOf<uint8_t>& condition,
                                              const RowOf<int32_t>& yes,
                                              const RowOf<int32_t>& no,
                                              int64_t size, int32_t* out) {
  Choices choices;
  Begin(condition, choices.condition);
  Begin(yes, choices.yes);
  Begin(no, choices.no);
  Ints chosen;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    Choose(choices, i, kWidth, chosen);
    std::memcpy(out + i, &chosen, sizeof(chosen));
  }
  if (i == size) return;
  Choose(choices, i, size - i, chosen);
  std::memcpy(out + i, &chosen, (size - i) * sizeof(int32_t));
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
ChoiceAvx512(const RowOf<uint8_t>& condition, const RowOf<int32_t>& yes,
             const RowOf<int32_t>& no, int64_t size, int32_t* out) {
  ChoiceBody(condition, yes, no, size, out);
}
__attribute__((target("avx2,fma"))) void ChoiceAvx2(
    const RowOf<uint8_t>& condition, const RowOf<int32_t>& yes,
    const RowOf<int32_t>& no, int64_t size, int32_t* out) {
  ChoiceBody(condition, yes, no, size, out);
}
void ChoicePlain(const RowOf<uint8_t>& condition, const RowOf<int32_t>& yes,
                 const RowOf<int32_t>& no, int64_t size, int32_t* out) {
  ChoiceBody(condition, yes, no, size, out);
}

}  // namespace

ArithmeticRow ArithmeticRowFor(Arithmetic op) {
  switch (op) {
    case Arithmetic::kAdd:
      return OfThisMachine<Arithmetic::kAdd>();
    case Arithmetic::kSubtract:
      return OfThisMachine<Arithmetic::kSubtract>();
    case Arithmetic::kMultiply:
      return OfThisMachine<Arithmetic::kMultiply>();
    case Arithmetic::kDivide:
      return OfThisMachine<Arithmetic::kDivide>();
    case Arithmetic::kMost:
      return OfThisMachine<Arithmetic::kMost>();
    case Arithmetic::kLeast:
      break;
  }
  return OfThisMachine<Arithmetic::kLeast>();
}

ChoiceRow ChoiceRowForWords() {
  return OfWidestIsa(ChoiceAvx512, ChoiceAvx2, ChoicePlain);
}

}  // namespace lathe
