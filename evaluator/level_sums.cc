#include "evaluator/level_sums.h"

#include <algorithm>
#include <cstring>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// kWidth columns of a row.
[[gnu::always_inline]] inline void NumbersOfSome(
    const int32_t* sums, const float* scales, const float* weight_sums,
    const float* bias, const OwnLevels& grid, float* out) {
  Ints sum;
  std::memcpy(&sum, sums, sizeof(sum));
  Floats scale;
  Floats weights;
  Floats x;
  Load(scales, scale);
  Load(weight_sums, weights);
  Load(bias, x);
  x += scale * grid.scale *
       (__builtin_convertvector(sum, Floats) -
        weights * static_cast<float>(grid.zero_point));
  Store(x, out);
}

[[gnu::always_inline]] inline void NumbersBody(const int32_t* sums,
                                               int64_t rows,
                                               const LevelSums& of,
                                               const OwnLevels& grid,
                                               float* out) {
  const int64_t columns = of.columns();
  const int64_t whole = columns / kWidth * kWidth;
  const int64_t left = columns - whole;
  float scales[kWidth] = {};
  float weights[kWidth] = {};
  float bias[kWidth] = {};
  std::copy_n(of.scales.data() + whole, left, scales);
  std::copy_n(of.weight_sums.data() + whole, left, weights);
  std::copy_n(of.bias.data() + whole, left, bias);
  for (int64_t r = 0; r < rows; ++r, sums += columns, out += columns) {
    for (int64_t c = 0; c < whole; c += kWidth) {
      NumbersOfSome(sums + c, of.scales.data() + c, of.weight_sums.data() + c,
                    of.bias.data() + c, grid, out + c);
    }
    if (left == 0) continue;
    int32_t last[kWidth] = {};
    float numbers[kWidth];
    std::copy_n(sums + whole, left, last);
    NumbersOfSome(last, scales, weights, bias, grid, numbers);
    std::copy_n(numbers, left, out + whole);
  }
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
NumbersAvx512(const int32_t* sums, int64_t rows, const LevelSums& of,
              const OwnLevels& grid, float* out) {
  NumbersBody(sums, rows, of, grid, out);
}
__attribute__((target("avx2,fma"))) void NumbersAvx2(const int32_t* sums,
                                                     int64_t rows,
                                                     const LevelSums& of,
                                                     const OwnLevels& grid,
                                                     float* out) {
  NumbersBody(sums, rows, of, grid, out);
}
void NumbersPlain(const int32_t* sums, int64_t rows, const LevelSums& of,
                  const OwnLevels& grid, float* out) {
  NumbersBody(sums, rows, of, grid, out);
}

}  // namespace

void NumbersOfSums(const int32_t* sums, int64_t rows, const LevelSums& of,
                   const OwnLevels& grid, float* out) {
  static const auto numbers =
      OfWidestIsa(NumbersAvx512, NumbersAvx2, NumbersPlain);
  numbers(sums, rows, of, grid, out);
}

}  // namespace lathe
