// Arrays from vectors of their elements, and back.
#ifndef LATHE_DATA_ARRAYS_H_
#define LATHE_DATA_ARRAYS_H_

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace lathe {

// An array of type `type`, whose element type T must be.
template <typename T>
Array ArrayOf(Array::Type type, std::vector<int64_t> shape,
              const std::vector<T>& values) {
  Array array;
  array.type = type;
  array.shape = std::move(shape);
  array.bytes.assign(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
  return array;
}

// The elements of an array of element type T.
template <typename T>
std::vector<T> ValuesOf(const Array& array) {
  std::vector<T> values(array.bytes.size() / sizeof(T));
  std::memcpy(values.data(), array.bytes.data(), array.bytes.size());
  return values;
}

}  // namespace lathe

#endif  // LATHE_DATA_ARRAYS_H_
