#include "compressor/initializer_spans.h"

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "base/status.h"

namespace lathe {
namespace {

// Field numbers of onnx.proto.
constexpr int kModelGraph = 7;
constexpr int kGraphInitializer = 5;
constexpr int kTensorDataType = 2;
constexpr int kTensorRawData = 9;

// One field of a message: a number, or a range of the file.
struct Field {
  int number = 0;
  uint64_t value = 0;
  size_t begin = 0;
  size_t size = 0;
  bool is_bytes = false;
};

absl::Status NoMessage() {
  return absl::InvalidArgumentError("not a protobuf message of an ONNX model");
}

absl::StatusOr<uint64_t> ReadVarint(absl::string_view file, size_t end,
                                    size_t* at) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && *at < end; shift += 7) {
    const uint8_t byte = static_cast<uint8_t>(file[(*at)++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return NoMessage();
}

// Shows each field of the message in [begin, end) of the file.
absl::Status VisitFields(
    absl::string_view file, size_t begin, size_t end,
    const std::function<absl::Status(const Field&)>& visit) {
  for (size_t at = begin; at < end;) {
    LATHE_ASSIGN_OR_RETURN(const uint64_t key, ReadVarint(file, end, &at));
    Field field;
    field.number = static_cast<int>(key >> 3 & 0x1fffffff);
    size_t skipped = 0;
    switch (key & 7) {
      case 0: {
        LATHE_ASSIGN_OR_RETURN(field.value, ReadVarint(file, end, &at));
        break;
      }
      case 1:
        skipped = 8;
        break;
      case 5:
        skipped = 4;
        break;
      case 2: {
        LATHE_ASSIGN_OR_RETURN(skipped, ReadVarint(file, end, &at));
        field.is_bytes = true;
        break;
      }
      default:
        return NoMessage();
    }
    if (skipped > end - at) return NoMessage();
    field.begin = at;
    field.size = skipped;
    at += skipped;
    LATHE_RETURN_IF_ERROR(visit(field));
  }
  return absl::OkStatus();
}

// Bytes of an element of an ONNX data type; 1 for all that is not known.
int WidthOf(uint64_t data_type) {
  switch (data_type) {
    case 1:   // float
    case 6:   // int32
    case 12:  // uint32
      return 4;
    case 4:   // uint16
    case 5:   // int16
    case 10:  // float16
    case 16:  // bfloat16
      return 2;
    case 7:   // int64
    case 11:  // double
    case 13:  // uint64
      return 8;
    default:
      return 1;
  }
}

absl::Status VisitTensor(absl::string_view file, const Field& tensor,
                         std::vector<DataSpan>* spans) {
  DataSpan span;
  uint64_t data_type = 0;
  const auto visit = [&](const Field& field) {
    if (field.number == kTensorDataType) data_type = field.value;
    if (field.number == kTensorRawData && field.is_bytes) {
      span.begin = field.begin;
      span.size = static_cast<int64_t>(field.size);
    }
    return absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(
      VisitFields(file, tensor.begin, tensor.begin + tensor.size, visit));
  span.width = WidthOf(data_type);
  if (span.size % span.width != 0) span.width = 1;
  if (span.size > 0) spans->push_back(span);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<DataSpan>> FindInitializerData(
    absl::string_view onnx) {
  std::vector<DataSpan> spans;
  const auto visit_graph = [&](const Field& field) {
    return field.number == kGraphInitializer && field.is_bytes
               ? VisitTensor(onnx, field, &spans)
               : absl::OkStatus();
  };
  const auto visit_model = [&](const Field& field) {
    return field.number == kModelGraph && field.is_bytes
               ? VisitFields(onnx, field.begin, field.begin + field.size,
                             visit_graph)
               : absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(VisitFields(onnx, 0, onnx.size(), visit_model));
  return spans;
}

}  // namespace lathe
