// Small arrays and damaged bytes for tests.
#ifndef LATHE_DATA_TESTING_ARRAYS_H_
#define LATHE_DATA_TESTING_ARRAYS_H_

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "data/arrays.h"

namespace lathe {

inline Array FloatArray(std::vector<int64_t> shape,
                        const std::vector<float>& values) {
  return ArrayOf(Array::Type::kFloat32, std::move(shape), values);
}

inline Array ByteArray(std::vector<int64_t> shape,
                       const std::vector<uint8_t>& values) {
  return ArrayOf(Array::Type::kUint8, std::move(shape), values);
}

// Calls `parse` with every truncation of `bytes` (up to 512 of them) and with
// `rounds` copies of which some bytes are changed.
inline void ForDamagedCopies(
    const std::string& bytes, int rounds,
    const std::function<void(absl::string_view)>& parse) {
  const size_t step = bytes.size() / 512 + 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    parse(absl::string_view(bytes).substr(0, size));
  }
  std::mt19937_64 random(7);
  for (int round = 0; round < rounds; ++round) {
    std::string damaged = bytes;
    for (int change = 0; change < 3; ++change) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    parse(damaged);
  }
}

}  // namespace lathe

#endif  // LATHE_DATA_TESTING_ARRAYS_H_
