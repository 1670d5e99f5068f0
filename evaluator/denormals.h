// Floating-point numbers too small for full precision, which CPUs compute a
// hundred times slower. Networks trained with weight decay are full of them,
// and none matters to a result.
#ifndef LATHE_EVALUATOR_DENORMALS_H_
#define LATHE_EVALUATOR_DENORMALS_H_

#include <xmmintrin.h>

namespace lathe {

// While one lives, this thread takes denormal numbers for zero.
class DenormalsAsZero {
 public:
  DenormalsAsZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kBits); }
  ~DenormalsAsZero() { _mm_setcsr(before_); }
  DenormalsAsZero(const DenormalsAsZero&) = delete;
  DenormalsAsZero& operator=(const DenormalsAsZero&) = delete;

  // The same for this thread, for good.
  static void SetForThread() { _mm_setcsr(_mm_getcsr() | kBits); }

 private:
  // Flush results to zero (bit 15), read denormals as zero (bit 6).
  static constexpr unsigned kBits = (1u << 15) | (1u << 6);

  const unsigned before_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_DENORMALS_H_
