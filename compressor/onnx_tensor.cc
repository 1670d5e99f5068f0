#include "compressor/onnx_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/limits.h"

namespace lathe {
namespace {

struct TypePair {
  DataType type;
  int32_t onnx;
};

constexpr TypePair kTypes[] = {
    {DataType::kFloat32, onnx::TensorProto::FLOAT},
    {DataType::kFloat64, onnx::TensorProto::DOUBLE},
    {DataType::kFloat16, onnx::TensorProto::FLOAT16},
    {DataType::kBfloat16, onnx::TensorProto::BFLOAT16},
    {DataType::kInt8, onnx::TensorProto::INT8},
    {DataType::kUint8, onnx::TensorProto::UINT8},
    {DataType::kInt16, onnx::TensorProto::INT16},
    {DataType::kUint16, onnx::TensorProto::UINT16},
    {DataType::kInt32, onnx::TensorProto::INT32},
    {DataType::kUint32, onnx::TensorProto::UINT32},
    {DataType::kInt64, onnx::TensorProto::INT64},
    {DataType::kUint64, onnx::TensorProto::UINT64},
    {DataType::kBool, onnx::TensorProto::BOOL},
};

absl::Status TensorError(const onnx::TensorProto& proto,
                         absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor \"", proto.name(), "\": ", what));
}

// Element count of the declared dimensions, overflow excluded.
absl::StatusOr<int64_t> DeclaredCount(const onnx::TensorProto& proto) {
  if (proto.dims_size() > kMostRank) {
    return TensorError(
        proto, absl::StrCat("has ", proto.dims_size(), " dimensions, at most ",
                            kMostRank, " are supported"));
  }
  for (const int64_t size : proto.dims()) {
    if (size < 0) {
      return TensorError(proto,
                         absl::StrCat("dimension ", size, " is negative"));
    }
  }
  if (HasTooManyElements(proto.dims())) {
    return TensorError(proto, "has more than 2^31 elements");
  }
  return ElementCount(proto.dims());
}

// The elements of a typed field, cast to the storage type.
template <typename Stored, typename Field>
std::string Pack(const Field& field) {
  std::string bytes(field.size() * sizeof(Stored), '\0');
  for (int i = 0; i < field.size(); ++i) {
    const Stored value = static_cast<Stored>(field.Get(i));
    std::memcpy(&bytes[i * sizeof(Stored)], &value, sizeof(Stored));
  }
  return bytes;
}

std::string TypedBytes(const onnx::TensorProto& proto, DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return Pack<float>(proto.float_data());
    case DataType::kFloat64:
      return Pack<double>(proto.double_data());
    case DataType::kInt64:
      return Pack<int64_t>(proto.int64_data());
    case DataType::kUint64:
      return Pack<uint64_t>(proto.uint64_data());
    case DataType::kUint32:
      return Pack<uint32_t>(proto.uint64_data());
    case DataType::kInt32:
      return Pack<int32_t>(proto.int32_data());
    case DataType::kFloat16:
    case DataType::kBfloat16:
    case DataType::kInt16:
    case DataType::kUint16:
      return Pack<uint16_t>(proto.int32_data());
    case DataType::kInt8:
    case DataType::kUint8:
    case DataType::kBool:
      return Pack<uint8_t>(proto.int32_data());
  }
  return std::string();
}

template <typename T>
bool AnyNaN(absl::Span<const T> values) {
  return std::any_of(values.begin(), values.end(),
                     [](T value) { return std::isnan(value); });
}

}  // namespace

absl::StatusOr<DataType> DataTypeFromOnnx(int64_t onnx_type,
                                          absl::string_view what) {
  for (const TypePair& pair : kTypes) {
    if (pair.onnx == onnx_type) return pair.type;
  }
  return absl::UnimplementedError(absl::StrCat(
      what, ": ONNX data type ", onnx_type,
      " is not supported; use floats of 16, 32 or 64 bits, integers of 8 to "
      "64 bits, or bool"));
}

int32_t DataTypeToOnnx(DataType type) {
  for (const TypePair& pair : kTypes) {
    if (pair.type == type) return pair.onnx;
  }
  return onnx::TensorProto::UNDEFINED;
}

absl::StatusOr<Tensor> TensorFromOnnx(const onnx::TensorProto& proto) {
  if (proto.data_location() == onnx::TensorProto::EXTERNAL ||
      proto.external_data_size() > 0) {
    return absl::UnimplementedError(absl::StrCat(
        "tensor \"", proto.name(),
        "\" keeps its data in another file; save the model as one file "
        "(onnx.save_model(..., save_as_external_data=False))"));
  }
  if (proto.has_segment()) {
    return absl::UnimplementedError(absl::StrCat(
        "tensor \"", proto.name(), "\" is segmented, which is not supported"));
  }
  LATHE_ASSIGN_OR_RETURN(
      const DataType type,
      DataTypeFromOnnx(proto.data_type(),
                       absl::StrCat("tensor \"", proto.name(), "\"")));
  LATHE_ASSIGN_OR_RETURN(const int64_t count, DeclaredCount(proto));
  std::string bytes =
      proto.has_raw_data() ? proto.raw_data() : TypedBytes(proto, type);
  const int64_t expected_bytes =
      count * static_cast<int64_t>(ElementBytes(type));
  if (static_cast<int64_t>(bytes.size()) != expected_bytes) {
    return TensorError(
        proto, absl::StrCat("declares ", count, " elements of ",
                            DataTypeName(type), " (", expected_bytes,
                            " bytes) and holds ", bytes.size(), " bytes"));
  }
  return Tensor(type, Shape(proto.dims().begin(), proto.dims().end()),
                std::move(bytes));
}

Tensor WidenHalf(const Tensor& tensor) {
  const bool is_half = tensor.type() == DataType::kFloat16;
  if (!is_half && tensor.type() != DataType::kBfloat16) return tensor;
  std::vector<float> wide(tensor.size());
  for (size_t i = 0; i < wide.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, tensor.bytes().data() + 2 * i, 2);
    wide[i] = is_half ? HalfToFloat(bits) : Bfloat16ToFloat(bits);
  }
  return Tensor::Of<float>(tensor.shape(), wide);
}

bool HasNaN(const Tensor& tensor) {
  switch (tensor.type()) {
    case DataType::kFloat32:
      return AnyNaN(tensor.values<float>());
    case DataType::kFloat64:
      return AnyNaN(tensor.values<double>());
    case DataType::kFloat16:
    case DataType::kBfloat16: {
      const Tensor wide = WidenHalf(tensor);
      return AnyNaN(wide.values<float>());
    }
    default:
      return false;
  }
}

void TensorToOnnx(const Tensor& tensor, onnx::TensorProto* proto) {
  proto->set_data_type(DataTypeToOnnx(tensor.type()));
  for (const int64_t size : tensor.shape()) proto->add_dims(size);
  proto->set_raw_data(tensor.bytes());
}

float HalfToFloat(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  float magnitude;
  if (exponent == 0x1f) {
    magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = static_cast<float>(mantissa) / (1 << 24);
  } else {
    // (1024 + mantissa) * 2^(exponent - 25), all steps exact.
    magnitude = static_cast<float>(1024 + mantissa);
    for (int e = exponent; e < 25; ++e) magnitude *= 0.5f;
    for (int e = exponent; e > 25; --e) magnitude *= 2.0f;
  }
  return (bits & 0x8000) ? -magnitude : magnitude;
}

float Bfloat16ToFloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

}  // namespace lathe
