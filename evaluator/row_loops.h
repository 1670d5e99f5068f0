// Reductions and normalisations of rows, compiled for several instruction sets.
#ifndef LATHE_EVALUATOR_ROW_LOOPS_H_
#define LATHE_EVALUATOR_ROW_LOOPS_H_

#include <cstdint>

namespace lathe {

enum class Reduction { kSum, kSumOfSquares, kSumOfMagnitudes, kMost, kLeast };

// From [outer, count, inner] to [outer, inner]. Of NaNs the extremes may take
// notice or not, as those of EvaluateNode. REQUIRES: count > 0.
struct ReducedAxis {
  int64_t outer = 1;
  int64_t count = 1;
  int64_t inner = 1;
};
void ReduceAxis(Reduction reduction, const ReducedAxis& axis, const float* in,
                float* out);

// Each of `rows` rows of `size` numbers less its mean (if `subtracts_mean`),
// over the root of its mean square + epsilon; then times `scale`, plus `shift`,
// [size] each or null.
struct RowNormalization {
  int64_t rows = 1;
  int64_t size = 1;
  bool subtracts_mean = true;
  float epsilon = 1e-5f;
};
void NormalizeRows(const RowNormalization& spec, const float* in,
                   const float* scale, const float* shift, float* out);

// [samples, channels, plane]: the same over each of `groups` groups of
// neighbouring channels of a sample; `scale` and `shift` are by channel, or,
// where `numbers` is less, by as many equal groups of channels.
struct GroupNormalization {
  int64_t samples = 1;
  int64_t channels = 1;
  int64_t plane = 1;
  int64_t groups = 1;
  int64_t numbers = 1;
  float epsilon = 1e-5f;
};
void NormalizeGroups(const GroupNormalization& spec, const float* in,
                     const float* scale, const float* shift, float* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ROW_LOOPS_H_
