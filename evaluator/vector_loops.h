// Loops over contiguous floats that beat oneDNN's kernels, compiled for several
// instruction sets; the widest that the machine has is taken.
#ifndef LATHE_EVALUATOR_VECTOR_LOOPS_H_
#define LATHE_EVALUATOR_VECTOR_LOOPS_H_

#include <cstdint>
#include <optional>

namespace lathe {

// Softmax over each of `rows` rows of `size` > 0 numbers. exp is right within
// 2e-7 of itself. As by its formula a row with NaN, +infinity, or nothing but
// -infinity becomes NaN. `out` may be `in`.
void SoftmaxRows(const float* in, int64_t rows, int64_t size, float* out);

// The same along the middle axis of [outer, count, inner].
void SoftmaxColumns(const float* in, int64_t outer, int64_t count,
                    int64_t inner, float* out);

// The grid that numbers are rounded to: level = round(number / scale) +
// zero_point, halves to even, in [least, least + 255]; NaN becomes zero_point.
struct ByteGrid {
  float scale = 1;
  int zero_point = 0;
  int least = 0;
};

// `in` is [batch, channels, pixels], `out` [batch, pixels, channels] bytes.
// REQUIRES: channels <= kMostLevelChannels.
constexpr int64_t kMostLevelChannels = 16;
void LevelsChannelsLast(const float* in, int64_t batch, int64_t channels,
                        int64_t pixels, const ByteGrid& grid, char* out);

// Turns `size` numbers, floats (no grid) or levels of `from`, into floats or
// levels of `to`.
void ConvertNumbers(const char* in, const std::optional<ByteGrid>& from,
                    int64_t size, const std::optional<ByteGrid>& to, char* out);

// The least and the greatest of 0 and `size` numbers; NaNs do not count.
struct NumberRange {
  float least = 0;
  float most = 0;
};
NumberRange RangeOfNumbers(const float* in, int64_t size);

// What the loops were compiled for: "avx512", "avx2" or "plain".
const char* VectorLoopIsa();

}  // namespace lathe

#endif  // LATHE_EVALUATOR_VECTOR_LOOPS_H_
