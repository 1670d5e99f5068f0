#include "evaluator/model_inputs.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/numeric_cast.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// The nearest integers, at the ends of T beyond them; NaN is 0.
template <typename T>
std::string Rounded(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    const T value = NumericCast<T>(std::nearbyint(values[i]));
    std::memcpy(&bytes[i * sizeof(T)], &value, sizeof(T));
  }
  return bytes;
}

template <typename T>
std::string Cast(const std::vector<float>& values) {
  const std::vector<T> cast(values.begin(), values.end());
  return std::string(reinterpret_cast<const char*>(cast.data()),
                     cast.size() * sizeof(T));
}

// `values` with the element type `type`.
absl::StatusOr<std::string> ToType(const std::vector<float>& values,
                                   DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return Cast<float>(values);
    case DataType::kFloat64:
      return Cast<double>(values);
    case DataType::kInt8:
      return Rounded<int8_t>(values);
    case DataType::kUint8:
      return Rounded<uint8_t>(values);
    case DataType::kInt16:
      return Rounded<int16_t>(values);
    case DataType::kUint16:
      return Rounded<uint16_t>(values);
    case DataType::kInt32:
      return Rounded<int32_t>(values);
    case DataType::kUint32:
      return Rounded<uint32_t>(values);
    case DataType::kInt64:
      return Rounded<int64_t>(values);
    case DataType::kUint64:
      return Rounded<uint64_t>(values);
    case DataType::kBool: {
      std::string bytes;
      for (const float value : values) bytes.push_back(value != 0 ? 1 : 0);
      return bytes;
    }
    case DataType::kFloat16:
    case DataType::kBfloat16:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("inputs of type ", DataTypeName(type),
                   " cannot be fed from a dataset; floats of 32 and 64 bits, "
                   "integers and bool can"));
}

}  // namespace

InputShapeSource ShapesOfData(const Dataset* dataset,
                              const v1::DatasetSpec& spec) {
  return [dataset, spec](const Graph& graph,
                         const Value& input) -> absl::StatusOr<Shape> {
    LATHE_ASSIGN_OR_RETURN(
        const Array* array,
        FindArray(*dataset, input.name, graph.inputs().size() == 1));
    return FitShape(*array, input.shape, spec);
  };
}

absl::StatusOr<ModelInputs> ModelInputs::Bind(const Graph& graph,
                                              const Dataset* dataset,
                                              const v1::DatasetSpec& spec) {
  LATHE_ASSIGN_OR_RETURN(std::vector<Shape> shapes,
                         InputShapes(graph, FixedBatch(graph).value_or(1)));
  ModelInputs inputs(dataset, spec);
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const Value& value = graph.value(graph.inputs()[i]);
    Input input;
    LATHE_ASSIGN_OR_RETURN(input.array, FindArray(*dataset, value.name,
                                                  graph.inputs().size() == 1));
    input.shape = std::move(shapes[i]);
    if (input.shape.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("input \"", value.name, "\" has no batch dimension"));
    }
    input.shape[0] = 1;
    input.type = value.type;
    const auto first =
        MakeInput(*input.array, std::vector<int64_t>{0}, input.shape, spec);
    const std::string where = absl::StrCat("input \"", value.name, "\"");
    if (!first.ok()) return Annotate(first.status(), where);
    LATHE_RETURN_IF_ERROR(Annotate(ToType(*first, input.type).status(), where));
    inputs.inputs_.push_back(std::move(input));
  }
  return inputs;
}

absl::Status ModelInputs::Fill(absl::Span<const int64_t> samples,
                               Executor* executor) const {
  assert(!samples.empty());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& input = inputs_[i];
    const int64_t batch = executor->input_shapes()[i][0];
    std::vector<int64_t> padded(samples.begin(), samples.end());
    padded.resize(batch, samples.back());
    LATHE_ASSIGN_OR_RETURN(const std::vector<float> values,
                           MakeInput(*input.array, padded, input.shape, spec_));
    LATHE_ASSIGN_OR_RETURN(const std::string bytes, ToType(values, input.type));
    std::memcpy(executor->input(i), bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> ModelInputs::Tensors(
    absl::Span<const int64_t> samples) const {
  std::vector<Tensor> tensors;
  for (const Input& input : inputs_) {
    LATHE_ASSIGN_OR_RETURN(
        const std::vector<float> values,
        MakeInput(*input.array, samples, input.shape, spec_));
    LATHE_ASSIGN_OR_RETURN(std::string bytes, ToType(values, input.type));
    Shape shape = input.shape;
    shape[0] = samples.size();
    tensors.emplace_back(input.type, std::move(shape), std::move(bytes));
  }
  return tensors;
}

}  // namespace lathe
