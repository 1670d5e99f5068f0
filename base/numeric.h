// Small statistics that several folders need.
#ifndef LATHE_BASE_NUMERIC_H_
#define LATHE_BASE_NUMERIC_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// The `q` quantile of `values`, linear between order statistics (Hyndman and
// Fan, type 7). REQUIRES: values is not empty, 0 <= q <= 1.
double Quantile(std::vector<double> values, double q);

inline double Median(std::vector<double> values) {
  return Quantile(std::move(values), 0.5);
}

// A closed interval.
struct Interval {
  double low = 0;
  double high = 0;
};

// The Wilson score interval of a proportion at 95 % confidence (Wilson 1927).
// [0, 1] when `total` is 0. REQUIRES: 0 <= successes <= total.
Interval WilsonInterval(int64_t successes, int64_t total);

// A 64-bit mix of `a` and `b` (splitmix64's finaliser): seeds for streams that
// must not depend on each other.
uint64_t MixSeed(uint64_t a, uint64_t b);

}  // namespace lathe

#endif  // LATHE_BASE_NUMERIC_H_
