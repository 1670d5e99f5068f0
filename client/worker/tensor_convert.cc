#include "client/worker/tensor_convert.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/npy.h"

namespace lathe {
namespace {

// Calls `use` with a null pointer of the C++ type of `type`'s elements; false
// for the 16-bit floats, which have none.
template <typename Use>
bool WithElementType(DataType type, const Use& use) {
  switch (type) {
    case DataType::kFloat32:
      return use(static_cast<float*>(nullptr)), true;
    case DataType::kFloat64:
      return use(static_cast<double*>(nullptr)), true;
    case DataType::kInt8:
      return use(static_cast<int8_t*>(nullptr)), true;
    case DataType::kUint8:
    case DataType::kBool:
      return use(static_cast<uint8_t*>(nullptr)), true;
    case DataType::kInt16:
      return use(static_cast<int16_t*>(nullptr)), true;
    case DataType::kUint16:
      return use(static_cast<uint16_t*>(nullptr)), true;
    case DataType::kInt32:
      return use(static_cast<int32_t*>(nullptr)), true;
    case DataType::kUint32:
      return use(static_cast<uint32_t*>(nullptr)), true;
    case DataType::kInt64:
      return use(static_cast<int64_t*>(nullptr)), true;
    case DataType::kUint64:
      return use(static_cast<uint64_t*>(nullptr)), true;
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return false;
  }
  return false;
}

// Whether `value` survives as a To. Long doubles hold every type's values.
template <typename To>
bool CanHold(long double value) {
  if (std::is_floating_point_v<To>) return true;
  return std::nearbyint(value) == value &&
         value >= static_cast<long double>(std::numeric_limits<To>::lowest()) &&
         value <= static_cast<long double>(std::numeric_limits<To>::max());
}

template <typename From, typename To>
absl::StatusOr<std::string> ConvertBytes(const std::string& bytes) {
  const size_t count = bytes.size() / sizeof(From);
  std::string converted(count * sizeof(To), '\0');
  for (size_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, &bytes[i * sizeof(From)], sizeof(From));
    if (!CanHold<To>(from)) {
      return absl::InvalidArgumentError(
          absl::StrCat("element ", i, " = ", static_cast<double>(from),
                       " does not fit the model's type"));
    }
    // int8_t holds numbers here, not characters.
    // NOLINTNEXTLINE(bugprone-signed-char-misuse)
    const To to = static_cast<To>(from);
    std::memcpy(&converted[i * sizeof(To)], &to, sizeof(To));
  }
  return converted;
}

DataType TypeOf(Array::Type type) {
  switch (type) {
    case Array::Type::kFloat32:
      return DataType::kFloat32;
    case Array::Type::kUint8:
      return DataType::kUint8;
    case Array::Type::kInt8:
      return DataType::kInt8;
    case Array::Type::kInt32:
      return DataType::kInt32;
    case Array::Type::kInt64:
      return DataType::kInt64;
  }
  return DataType::kFloat32;
}

const char* DescrOf(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return "<f4";
    case DataType::kFloat64:
      return "<f8";
    case DataType::kFloat16:
      return "<f2";
    case DataType::kBfloat16:
    case DataType::kUint16:
      return "<u2";
    case DataType::kInt8:
      return "|i1";
    case DataType::kUint8:
      return "|u1";
    case DataType::kInt16:
      return "<i2";
    case DataType::kInt32:
      return "<i4";
    case DataType::kUint32:
      return "<u4";
    case DataType::kInt64:
      return "<i8";
    case DataType::kUint64:
      return "<u8";
    case DataType::kBool:
      return "|b1";
  }
  return "|u1";
}

}  // namespace

Tensor TensorFromArray(const Array& array) {
  return Tensor(TypeOf(array.type), array.shape, array.bytes);
}

absl::StatusOr<Tensor> ConvertTensor(const Tensor& tensor, DataType type) {
  if (tensor.type() == type) return tensor;
  absl::StatusOr<std::string> bytes = absl::InvalidArgumentError(
      absl::StrCat(DataTypeName(tensor.type()), " cannot become ",
                   DataTypeName(type), ", which the model wants"));
  WithElementType(tensor.type(), [&](auto* from) {
    WithElementType(type, [&](auto* to) {
      using From = std::remove_pointer_t<decltype(from)>;
      using To = std::remove_pointer_t<decltype(to)>;
      bytes = ConvertBytes<From, To>(tensor.bytes());
    });
  });
  if (!bytes.ok()) return bytes.status();
  return Tensor(type, tensor.shape(), *std::move(bytes));
}

std::string NpyOfTensor(const Tensor& tensor) {
  return NpyBytes(DescrOf(tensor.type()), tensor.shape(), tensor.bytes());
}

}  // namespace lathe
