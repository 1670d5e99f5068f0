// Constant tensors: typed, dense, row-major.
#ifndef LATHE_COMPRESSOR_TENSOR_H_
#define LATHE_COMPRESSOR_TENSOR_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// Element types, a subset of ONNX's.
enum class DataType {
  kFloat32,
  kFloat64,
  kFloat16,
  kBfloat16,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kBool,
};

// Bytes of one element.
size_t ElementBytes(DataType type);

// "float32", "int8", ...
const char* DataTypeName(DataType type);

// Sizes of the dimensions, outermost first; kDynamic where the size is known
// only when the network runs.
using Shape = std::vector<int64_t>;
constexpr int64_t kDynamic = -1;

// Product of the dimensions, 1 for a scalar. REQUIRES: none is kDynamic; the
// product fits (parsers check).
int64_t ElementCount(absl::Span<const int64_t> shape);

// Whether the dimensions that are not 0 make more than kMostElements
// (limits.h): an empty tensor's others bound strides and loops, too. REQUIRES:
// none is negative.
bool HasTooManyElements(absl::Span<const int64_t> shape);

// "[1, 3, ?, 32]".
std::string ShapeToString(absl::Span<const int64_t> shape);

// The DataType of a C++ element type (bool stands as uint8_t storage).
template <typename T>
struct DataTypeOf;
template <>
struct DataTypeOf<float> {
  static constexpr DataType value = DataType::kFloat32;
};
template <>
struct DataTypeOf<double> {
  static constexpr DataType value = DataType::kFloat64;
};
template <>
struct DataTypeOf<int8_t> {
  static constexpr DataType value = DataType::kInt8;
};
template <>
struct DataTypeOf<uint8_t> {
  static constexpr DataType value = DataType::kUint8;
};
template <>
struct DataTypeOf<int16_t> {
  static constexpr DataType value = DataType::kInt16;
};
template <>
struct DataTypeOf<uint16_t> {
  static constexpr DataType value = DataType::kUint16;
};
template <>
struct DataTypeOf<int32_t> {
  static constexpr DataType value = DataType::kInt32;
};
template <>
struct DataTypeOf<uint32_t> {
  static constexpr DataType value = DataType::kUint32;
};
template <>
struct DataTypeOf<uint64_t> {
  static constexpr DataType value = DataType::kUint64;
};
template <>
struct DataTypeOf<int64_t> {
  static constexpr DataType value = DataType::kInt64;
};

// Immutable; cheap to copy. Copies share their bytes (the graphs of many
// trials hold the same weights), hence the shared_ptr.
class Tensor {
 public:
  // A float32 scalar 0.
  Tensor() : Tensor(DataType::kFloat32, {}, std::string(4, '\0')) {}

  // REQUIRES: bytes.size() == ElementCount(shape) * ElementBytes(type).
  Tensor(DataType type, Shape shape, std::string bytes)
      : type_(type),
        shape_(std::move(shape)),
        bytes_(std::make_shared<const std::string>(std::move(bytes))) {
    assert(bytes_->size() == ElementCount(shape_) * ElementBytes(type_));
  }

  // REQUIRES: values.size() == ElementCount(shape).
  template <typename T>
  static Tensor Of(Shape shape, absl::Span<const T> values) {
    return Tensor(DataTypeOf<T>::value, std::move(shape),
                  std::string(reinterpret_cast<const char*>(values.data()),
                              values.size() * sizeof(T)));
  }
  template <typename T>
  static Tensor Of(Shape shape, const std::vector<T>& values) {
    return Of<T>(std::move(shape), absl::Span<const T>(values));
  }

  DataType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const {
    return static_cast<int64_t>(bytes_->size() / ElementBytes(type_));
  }
  const std::string& bytes() const { return *bytes_; }

  // The elements. REQUIRES: T is the element type (uint8_t for bool).
  template <typename T>
  absl::Span<const T> values() const {
    assert(DataTypeOf<T>::value == type_ ||
           (type_ == DataType::kBool && sizeof(T) == 1));
    return absl::Span<const T>(reinterpret_cast<const T*>(bytes_->data()),
                               bytes_->size() / sizeof(T));
  }

  // The same elements under another shape. REQUIRES: equal element counts.
  Tensor Reshaped(Shape shape) const {
    Tensor reshaped = *this;
    assert(ElementCount(shape) == ElementCount(shape_));
    reshaped.shape_ = std::move(shape);
    return reshaped;
  }

 private:
  DataType type_;
  Shape shape_;
  std::shared_ptr<const std::string> bytes_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TENSOR_H_
