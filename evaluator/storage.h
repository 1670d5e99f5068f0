// How the numbers of a value stand in memory.
#ifndef LATHE_EVALUATOR_STORAGE_H_
#define LATHE_EVALUATOR_STORAGE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "evaluator/onednn_adapter.h"
#include "evaluator/program.h"

namespace lathe {

// Element type; for 8-bit elements of a float32 value also the grid:
// real = scale * (element - zero_point).
struct Encoding {
  DataType type = DataType::kFloat32;
  float scale = 1;
  int zero_point = 0;

  // Whether elements are levels of a grid.
  bool IsLevels() const {
    return type == DataType::kUint8 || type == DataType::kInt8;
  }
};

inline bool operator==(const Encoding& a, const Encoding& b) {
  return a.type == b.type && a.scale == b.scale && a.zero_point == b.zero_point;
}

// Of one element.
inline int64_t BytesOf(const Encoding& encoding) {
  return static_cast<int64_t>(ElementBytes(encoding.type));
}

inline Encoding EncodingOf(const ActivationGrid& grid) {
  return {grid.is_signed ? DataType::kInt8 : DataType::kUint8, grid.scale,
          grid.zero_point};
}

inline Encoding FloatEncoding() { return {DataType::kFloat32, 1, 0}; }

// One copy of a value in memory.
struct Copy {
  Encoding encoding;
  // Empty for values of other types than float32, which are dense row-major
  // ("raw").
  MemoryDesc desc;
  Location location;
};

// Whether both descs put equal elements at equal places: equal but for strides
// of dimensions of size 1.
bool IsSameLayout(const MemoryDesc& a, const MemoryDesc& b);

// Whether the elements lie without gaps in row-major order.
bool IsRowMajor(const MemoryDesc& desc);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_STORAGE_H_
