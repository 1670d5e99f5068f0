// Casts between numbers that are defined for every value.
#ifndef LATHE_COMPRESSOR_NUMERIC_CAST_H_
#define LATHE_COMPRESSOR_NUMERIC_CAST_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace lathe {

// The low bits of `bits` as a T: arithmetic modulo 2^n.
template <typename T>
T WrapCast(uint64_t bits) {
  return static_cast<T>(bits);
}

// Floats to integers truncate and saturate, NaN becomes 0; integers to integers
// wrap.
template <typename To, typename From>
To NumericCast(From value) {
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    if (std::isnan(value)) return To(0);
    const double whole = std::trunc(static_cast<double>(value));
    if (whole <= static_cast<double>(std::numeric_limits<To>::lowest())) {
      return std::numeric_limits<To>::lowest();
    }
    if (whole >= static_cast<double>(std::numeric_limits<To>::max())) {
      return std::numeric_limits<To>::max();
    }
    return static_cast<To>(whole);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_NUMERIC_CAST_H_
