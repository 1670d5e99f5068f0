#include "evaluator/row_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// Numbers that are added up in float32, lane by lane, before their sum goes
// into a double.
constexpr int64_t kChunk = 512;

struct Sum {
  static constexpr float kStart = 0;
  [[gnu::always_inline]] static void Take(const Floats& x, Floats& sums) {
    sums += x;
  }
  static void Take(float x, float* sum) { *sum += x; }
};

struct SumOfSquares : Sum {
  [[gnu::always_inline]] static void Take(const Floats& x, Floats& sums) {
    sums += x * x;
  }
  static void Take(float x, float* sum) { *sum += x * x; }
};

struct SumOfMagnitudes : Sum {
  [[gnu::always_inline]] static void Take(const Floats& x, Floats& sums) {
    sums += x < 0.0f ? -x : x;
  }
  static void Take(float x, float* sum) { *sum += std::abs(x); }
};

struct Most {
  static constexpr float kStart = -std::numeric_limits<float>::infinity();
  [[gnu::always_inline]] static void Take(const Floats& x, Floats& most) {
    most = x > most ? x : most;
  }
  static void Take(float x, float* most) { *most = x > *most ? x : *most; }
};

struct Least {
  static constexpr float kStart = std::numeric_limits<float>::infinity();
  [[gnu::always_inline]] static void Take(const Floats& x, Floats& least) {
    least = x < least ? x : least;
  }
  static void Take(float x, float* least) { *least = x < *least ? x : *least; }
};

constexpr bool IsSum(const Sum* op) { return true; }
constexpr bool IsSum(const void* op) { return false; }

// Of at most kChunk numbers.
template <typename Op>
[[gnu::always_inline]] inline float ReduceChunk(const float* in, int64_t size) {
  Floats lanes = Floats{} + Op::kStart;
  Floats x;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    Load(in + i, x);
    Op::Take(x, lanes);
  }
  float result = Op::kStart;
  for (int64_t l = 0; l < kWidth; ++l) {
    if (IsSum(static_cast<const Op*>(nullptr))) {
      result += lanes[l];
    } else {
      Op::Take(lanes[l], &result);
    }
  }
  for (; i < size; ++i) Op::Take(in[i], &result);
  return result;
}

template <typename Op>
[[gnu::always_inline]] inline double ReduceRow(const float* in, int64_t size) {
  double result = Op::kStart;
  for (int64_t first = 0; first < size; first += kChunk) {
    const float chunk =
        ReduceChunk<Op>(in + first, std::min(kChunk, size - first));
    if (IsSum(static_cast<const Op*>(nullptr))) {
      result += chunk;
    } else {
      float extreme = static_cast<float>(result);
      Op::Take(chunk, &extreme);
      result = extreme;
    }
  }
  return result;
}

// [count, inner] to [inner].
template <typename Op>
[[gnu::always_inline]] inline void ReduceColumns(const float* in, int64_t count,
                                                 int64_t inner, float* out) {
  int64_t i = 0;
  Floats x;
  for (; i + kWidth <= inner; i += kWidth) {
    Floats lanes = Floats{} + Op::kStart;
    for (int64_t k = 0; k < count; ++k) {
      Load(in + k * inner + i, x);
      Op::Take(x, lanes);
    }
    Store(lanes, out + i);
  }
  for (; i < inner; ++i) {
    float result = Op::kStart;
    for (int64_t k = 0; k < count; ++k) Op::Take(in[k * inner + i], &result);
    out[i] = result;
  }
}

template <typename Op>
[[gnu::always_inline]] inline void ReduceBody(const ReducedAxis& axis,
                                              const float* in, float* out) {
  for (int64_t o = 0; o < axis.outer; ++o) {
    const float* from = in + o * axis.count * axis.inner;
    if (axis.inner == 1) {
      out[o] = static_cast<float>(ReduceRow<Op>(from, axis.count));
    } else {
      ReduceColumns<Op>(from, axis.count, axis.inner, out + o * axis.inner);
    }
  }
}

[[gnu::always_inline]] inline void ReduceAny(Reduction reduction,
                                             const ReducedAxis& axis,
                                             const float* in, float* out) {
  switch (reduction) {
    case Reduction::kSum:
      return ReduceBody<Sum>(axis, in, out);
    case Reduction::kSumOfSquares:
      return ReduceBody<SumOfSquares>(axis, in, out);
    case Reduction::kSumOfMagnitudes:
      return ReduceBody<SumOfMagnitudes>(axis, in, out);
    case Reduction::kMost:
      return ReduceBody<Most>(axis, in, out);
    case Reduction::kLeast:
      return ReduceBody<Least>(axis, in, out);
  }
}

// Sum of (x - mean)^2.
[[gnu::always_inline]] inline double SumOfDeviations(const float* in,
                                                     int64_t size, float mean) {
  double sum = 0;
  for (int64_t first = 0; first < size; first += kChunk) {
    const int64_t end = std::min(size, first + kChunk);
    Floats lanes = {};
    Floats x;
    int64_t i = first;
    for (; i + kWidth <= end; i += kWidth) {
      Load(in + i, x);
      x -= mean;
      lanes += x * x;
    }
    for (int64_t l = 0; l < kWidth; ++l) sum += lanes[l];
    for (; i < end; ++i) sum += (in[i] - mean) * (in[i] - mean);
  }
  return sum;
}

struct Normalizer {
  float mean = 0;
  float factor = 1;
};

[[gnu::always_inline]] inline Normalizer NormalizerOf(const float* in,
                                                      int64_t size,
                                                      bool subtracts_mean,
                                                      float epsilon) {
  Normalizer normalizer;
  if (subtracts_mean) {
    normalizer.mean = static_cast<float>(ReduceRow<Sum>(in, size) /
                                         static_cast<double>(size));
  }
  const double squares = SumOfDeviations(in, size, normalizer.mean);
  normalizer.factor = static_cast<float>(
      1 / std::sqrt(squares / static_cast<double>(size) + epsilon));
  return normalizer;
}

[[gnu::always_inline]] inline void RowsBody(const RowNormalization& spec,
                                            const float* in, const float* scale,
                                            const float* shift, float* out) {
  for (int64_t row = 0; row < spec.rows; ++row) {
    const Normalizer n =
        NormalizerOf(in, spec.size, spec.subtracts_mean, spec.epsilon);
    Floats x;
    Floats y;
    int64_t i = 0;
    for (; i + kWidth <= spec.size; i += kWidth) {
      Load(in + i, x);
      x = (x - n.mean) * n.factor;
      if (scale != nullptr) {
        Load(scale + i, y);
        x *= y;
      }
      if (shift != nullptr) {
        Load(shift + i, y);
        x += y;
      }
      Store(x, out + i);
    }
    for (; i < spec.size; ++i) {
      const float scaled =
          (in[i] - n.mean) * n.factor * (scale != nullptr ? scale[i] : 1);
      out[i] = scaled + (shift != nullptr ? shift[i] : 0);
    }
    in += spec.size;
    out += spec.size;
  }
}

// One group of a sample; `first` is its first channel.
[[gnu::always_inline]] inline void GroupBody(const GroupNormalization& spec,
                                             int64_t first, const float* in,
                                             const float* scale,
                                             const float* shift, float* out) {
  const int64_t channels = spec.channels / spec.groups;
  const Normalizer n = NormalizerOf(in, channels * spec.plane,
                                    /*subtracts_mean=*/true, spec.epsilon);
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t number = (first + c) / (spec.channels / spec.numbers);
    const float factor = n.factor * scale[number];
    const float offset = shift[number];
    Floats x;
    int64_t i = 0;
    for (; i + kWidth <= spec.plane; i += kWidth) {
      Load(in + i, x);
      x = (x - n.mean) * factor + offset;
      Store(x, out + i);
    }
    for (; i < spec.plane; ++i) out[i] = (in[i] - n.mean) * factor + offset;
    in += spec.plane;
    out += spec.plane;
  }
}

// ------------------------------------------------- for each instruction set

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
ReduceAvx512(Reduction reduction, const ReducedAxis& axis, const float* in,
             float* out) {
  ReduceAny(reduction, axis, in, out);
}
__attribute__((target("avx2,fma"))) void ReduceAvx2(Reduction reduction,
                                                    const ReducedAxis& axis,
                                                    const float* in,
                                                    float* out) {
  ReduceAny(reduction, axis, in, out);
}
void ReducePlain(Reduction reduction, const ReducedAxis& axis, const float* in,
                 float* out) {
  ReduceAny(reduction, axis, in, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
RowsAvx512(const RowNormalization& spec, const float* in, const float* scale,
           const float* shift, float* out) {
  RowsBody(spec, in, scale, shift, out);
}
__attribute__((target("avx2,fma"))) void RowsAvx2(const RowNormalization& spec,
                                                  const float* in,
                                                  const float* scale,
                                                  const float* shift,
                                                  float* out) {
  RowsBody(spec, in, scale, shift, out);
}
void RowsPlain(const RowNormalization& spec, const float* in,
               const float* scale, const float* shift, float* out) {
  RowsBody(spec, in, scale, shift, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
GroupAvx512(const GroupNormalization& spec, int64_t first, const float* in,
            const float* scale, const float* shift, float* out) {
  GroupBody(spec, first, in, scale, shift, out);
}
__attribute__((target("avx2,fma"))) void GroupAvx2(
    const GroupNormalization& spec, int64_t first, const float* in,
    const float* scale, const float* shift, float* out) {
  GroupBody(spec, first, in, scale, shift, out);
}
void GroupPlain(const GroupNormalization& spec, int64_t first, const float* in,
                const float* scale, const float* shift, float* out) {
  GroupBody(spec, first, in, scale, shift, out);
}

// Threads cost some microseconds to start.
constexpr int64_t kLeastForThreads = int64_t{1} << 15;

}  // namespace

void ReduceAxis(Reduction reduction, const ReducedAxis& axis, const float* in,
                float* out) {
  static const auto reduce = OfWidestIsa(ReduceAvx512, ReduceAvx2, ReducePlain);
  const int64_t size = axis.count * axis.inner;
#pragma omp parallel for if (axis.outer * size >= kLeastForThreads)
  for (int64_t first = 0; first < axis.outer; first += 16) {
    reduce(reduction,
           {std::min<int64_t>(16, axis.outer - first), axis.count, axis.inner},
           in + first * size, out + first * axis.inner);
  }
}

void NormalizeRows(const RowNormalization& spec, const float* in,
                   const float* scale, const float* shift, float* out) {
  static const auto normalize = OfWidestIsa(RowsAvx512, RowsAvx2, RowsPlain);
#pragma omp parallel for if (spec.rows * spec.size >= kLeastForThreads)
  for (int64_t first = 0; first < spec.rows; first += 4) {
    RowNormalization part = spec;
    part.rows = std::min<int64_t>(4, spec.rows - first);
    normalize(part, in + first * spec.size, scale, shift,
              out + first * spec.size);
  }
}

void NormalizeGroups(const GroupNormalization& spec, const float* in,
                     const float* scale, const float* shift, float* out) {
  static const auto normalize = OfWidestIsa(GroupAvx512, GroupAvx2, GroupPlain);
  const int64_t channels = spec.channels / spec.groups;
  const int64_t size = channels * spec.plane;
#pragma omp parallel for if (spec.samples * spec.groups * size >= \
                             kLeastForThreads)
  for (int64_t g = 0; g < spec.samples * spec.groups; ++g) {
    normalize(spec, g % spec.groups * channels, in + g * size, scale, shift,
              out + g * size);
  }
}

}  // namespace lathe
