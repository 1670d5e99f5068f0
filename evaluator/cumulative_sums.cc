#include "evaluator/cumulative_sums.h"

#include <algorithm>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// Sums that are added up side by side where neighbours are not of the same
// step: each addition waits for the one before.
constexpr int64_t kLanes = 8;

// out = before + in, by place.
[[gnu::always_inline]] inline void AddRows(const float* before, const float* in,
                                           int64_t size, float* out) {
  Floats x;
  Floats sum;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    Load(in + i, x);
    Load(before + i, sum);
    sum += x;
    Store(sum, out + i);
  }
  for (; i < size; ++i) out[i] = before[i] + in[i];
}

// [count, inner]: row by row.
[[gnu::always_inline]] inline void SumWideRows(const CumulativeSums& sums,
                                               const float* in, float* out) {
  const int64_t inner = sums.inner;
  const int64_t first = sums.is_reverse ? (sums.count - 1) * inner : 0;
  const int64_t next = sums.is_reverse ? -inner : inner;
  std::fill_n(out + first, inner, 0.0f);
  if (!sums.is_exclusive) AddRows(out + first, in + first, inner, out + first);
  for (int64_t k = 1; k < sums.count; ++k) {
    const int64_t at = first + k * next;
    AddRows(out + at - next, in + (sums.is_exclusive ? at - next : at), inner,
            out + at);
  }
}

// `lanes` <= kLanes sums from those at `lane` on, counted over outer and inner.
[[gnu::always_inline]] inline void SumLanes(const CumulativeSums& sums,
                                            int64_t lane, int64_t lanes,
                                            const float* in, float* out) {
  int64_t at[kLanes];
  float sum[kLanes] = {};
  const int64_t behind = sums.is_reverse ? (sums.count - 1) * sums.inner : 0;
  for (int64_t l = 0; l < kLanes; ++l) {
    // Lanes that fill up do what the first one does.
    const int64_t place = l < lanes ? lane + l : lane;
    at[l] = place / sums.inner * sums.count * sums.inner + place % sums.inner +
            behind;
  }
  const int64_t next = sums.is_reverse ? -sums.inner : sums.inner;
  for (int64_t k = 0; k < sums.count; ++k) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float x = in[at[l]];
      if (sums.is_exclusive) {
        out[at[l]] = sum[l];
        sum[l] += x;
      } else {
        sum[l] += x;
        out[at[l]] = sum[l];
      }
      at[l] += next;
    }
  }
}

[[gnu::always_inline]] inline void SumBody(const CumulativeSums& sums,
                                           const float* in, float* out) {
  if (sums.inner >= kWidth) {
    const int64_t block = sums.count * sums.inner;
    for (int64_t o = 0; o < sums.outer; ++o) {
      SumWideRows(sums, in + o * block, out + o * block);
    }
    return;
  }
  const int64_t all = sums.outer * sums.inner;
  for (int64_t lane = 0; lane < all; lane += kLanes) {
    SumLanes(sums, lane, std::min(kLanes, all - lane), in, out);
  }
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
SumAvx512(const CumulativeSums& sums, const float* in, float* out) {
  SumBody(sums, in, out);
}
__attribute__((target("avx2,fma"))) void SumAvx2(const CumulativeSums& sums,
                                                 const float* in, float* out) {
  SumBody(sums, in, out);
}
void SumPlain(const CumulativeSums& sums, const float* in, float* out) {
  SumBody(sums, in, out);
}

}  // namespace

void SumUp(const CumulativeSums& sums, const float* in, float* out) {
  static const auto sum_up = OfWidestIsa(SumAvx512, SumAvx2, SumPlain);
  sum_up(sums, in, out);
}

}  // namespace lathe
