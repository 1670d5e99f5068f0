// Sums of all numbers so far along an axis, compiled for several instruction
// sets.
#ifndef LATHE_EVALUATOR_CUMULATIVE_SUMS_H_
#define LATHE_EVALUATOR_CUMULATIVE_SUMS_H_

#include <cstdint>

namespace lathe {

// Of [outer, count, inner] along the middle axis.
struct CumulativeSums {
  int64_t outer = 1;
  int64_t count = 1;
  int64_t inner = 1;
  // Sums begin with 0 and leave out the last number.
  bool is_exclusive = false;
  // They begin at the end.
  bool is_reverse = false;
};
void SumUp(const CumulativeSums& sums, const float* in, float* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_CUMULATIVE_SUMS_H_
