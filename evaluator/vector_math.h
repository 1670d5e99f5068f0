// Arithmetic on short vectors, for loops that are compiled for several
// instruction sets (vector_loops.cc, recurrent_loop.cc, ...).
#ifndef LATHE_EVALUATOR_VECTOR_MATH_H_
#define LATHE_EVALUATOR_VECTOR_MATH_H_

#include <cstdint>
#include <cstring>

namespace lathe {

// Vectors of GCC and clang: the compiler splits them where registers are
// narrower. Everything here is inlined into functions of an instruction set,
// and so compiled for it.
constexpr int64_t kWidth = 16;
typedef float Floats __attribute__((vector_size(kWidth * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef int8_t Bytes __attribute__((vector_size(kWidth)));

[[gnu::always_inline]] inline void Load(const float* from, Floats& to) {
  std::memcpy(&to, from, sizeof(to));
}
[[gnu::always_inline]] inline void Store(const Floats& from, float* to) {
  std::memcpy(to, &from, sizeof(from));
}

// The same bits as numbers of another type.
[[gnu::always_inline]] inline void SameBits(const Floats& from, Ints& to) {
  std::memcpy(&to, &from, sizeof(from));
}
[[gnu::always_inline]] inline void SameBits(const Ints& from, Floats& to) {
  std::memcpy(&to, &from, sizeof(from));
}

// The first `count` numbers, and `filler` behind them.
[[gnu::always_inline]] inline void LoadSome(const float* from, int64_t count,
                                            float filler, Floats& to) {
  to = Floats{} + filler;
  std::memcpy(&to, from, count * sizeof(float));
}

// Adding it to a small float leaves the nearest integer in the low bits.
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23
constexpr int32_t kRounderBits = 0x4b400000;

// x = exp(x) for x <= 0, NaN stays NaN. 2^n * p(r) with |r| <= ln(2) / 2; the
// polynomial is that of Cephes' expf.
[[gnu::always_inline]] inline void ExpOfNegative(Floats& x) {
  constexpr float kLeast = -87.0f;  // exp of less is denormal: taken for 0.
  const Ints is_zero = x < kLeast;
  const Floats shifted = x * 1.44269504f + kRounder;
  const Floats n = shifted - kRounder;
  const Floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  Ints power;
  SameBits(shifted, power);
  power = (power - kRounderBits + 127) << 23;
  Floats factor;
  SameBits(power, factor);
  x = is_zero ? Floats{} : p * factor;
}

// 1 / (1 + exp(-x)); NaN stays NaN.
[[gnu::always_inline]] inline void Sigmoid(Floats& x) {
  Floats e = x < 0.0f ? x : -x;
  ExpOfNegative(e);
  x = (x < 0.0f ? e : Floats{} + 1.0f) / (e + 1.0f);
}

// Within 1e-7, absolutely; NaN stays NaN.
[[gnu::always_inline]] inline void Tanh(Floats& x) {
  Floats e = (x < 0.0f ? x : -x) * 2.0f;
  ExpOfNegative(e);
  const Floats size = (1.0f - e) / (1.0f + e);
  x = x < 0.0f ? -size : size;
}

// The instruction sets that loops are compiled for.
enum class VectorIsa { kPlain, kAvx2, kAvx512 };

// The widest that the machine has.
inline VectorIsa WidestVectorIsa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
    return VectorIsa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return VectorIsa::kAvx2;
  }
  return VectorIsa::kPlain;
}

// Of a function that is compiled for each, the one for this machine.
template <typename F>
F OfWidestIsa(F avx512, F avx2, F plain) {
  switch (WidestVectorIsa()) {
    case VectorIsa::kAvx512:
      return avx512;
    case VectorIsa::kAvx2:
      return avx2;
    case VectorIsa::kPlain:
      break;
  }
  return plain;
}

}  // namespace lathe

#endif  // LATHE_EVALUATOR_VECTOR_MATH_H_
