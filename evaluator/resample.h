// Resampling of images, volumes and signals: what Resize comes down to.
#ifndef LATHE_EVALUATOR_RESAMPLE_H_
#define LATHE_EVALUATOR_RESAMPLE_H_

#include <array>
#include <cstdint>
#include <vector>

namespace lathe {

// Output place p of an axis is the sum over t of weights[t * out + p] times the
// numbers at input place indices[t * out + p], t in [0, taps). By default an
// axis of one place that stays as it is.
struct AxisResampling {
  int64_t in = 1;
  int64_t out = 1;
  int64_t taps = 1;
  std::vector<int32_t> indices = {0};
  std::vector<float> weights = {1};
};

// From [outer, in of each axis, inner] to [outer, out of each axis, inner],
// dense.
struct Resampling {
  int64_t outer = 1;
  std::array<AxisResampling, 3> axes;
  int64_t inner = 1;
};

void ResampleNumbers(const Resampling& resampling, const float* in, float* out);

// The same where every axis has one tap, of weight 1: moves elements, of any
// type. REQUIRES: element_bytes is 1, 2 or 4.
void MoveNearest(const Resampling& resampling, int64_t element_bytes,
                 const char* in, char* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_RESAMPLE_H_
