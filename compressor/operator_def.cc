#include "compressor/operator_def.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/limits.h"

namespace lathe {
namespace {

using Operators = absl::flat_hash_map<std::string, const OperatorDef*>;

const Operators& AllOperators() {
  static const Operators* const operators = [] {
    auto* all = new Operators;
    for (const auto family :
         {ConvOperators(),      PoolOperators(),      UnaryOperators(),
          ConvertOperators(),   BinaryOperators(),    MovementOperators(),
          PadOperators(),       IndexOperators(),     ReshapeOperators(),
          ShapeOperators(),     MatMulOperators(),    ReduceOperators(),
          NormOperators(),      ResizeOperators(),    QuantizeOperators(),
          RecurrentOperators(), AttentionOperators(), IntegerOperators(),
          SequenceOperators(),  ScatterOperators()}) {
      for (const OperatorDef& def : family) all->emplace(def.op_type, &def);
    }
    return all;
  }();
  return *operators;
}

absl::Status CheckInputs(const OperatorDef& def, const OpCall& call) {
  if (call.InputCount() > def.most_inputs) {
    return call.Invalid(absl::StrCat("has ", call.InputCount(),
                                     " inputs, at most ", def.most_inputs,
                                     " are understood"));
  }
  for (int i = 0; i < def.least_inputs; ++i) {
    if (!call.Has(i)) {
      return call.Invalid(absl::StrCat("input ", i, " is missing"));
    }
  }
  for (int i = 0; i < call.InputCount(); ++i) {
    if (!call.Has(i)) continue;
    const bool is_half = call.TypeOf(i) == DataType::kFloat16 ||
                         call.TypeOf(i) == DataType::kBfloat16;
    if (is_half && absl::string_view(def.op_type) != "Cast") {
      return call.Unsupported(
          absl::StrCat("input ", i, " has 16-bit floats; widen them"));
    }
    const bool must_be_float = def.types == OpTypes::kFloat32 ||
                               (def.types == OpTypes::kFirstFloat32 && i == 0);
    if (must_be_float && call.TypeOf(i) != DataType::kFloat32) {
      return call.Unsupported(absl::StrCat("input ", i, " is ",
                                           DataTypeName(call.TypeOf(i)),
                                           ", only float32 is supported"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(const OpCall& call, const Shape& shape) {
  if (static_cast<int64_t>(shape.size()) > kMostRank) {
    return call.Invalid(absl::StrCat("an output would have ", shape.size(),
                                     " dimensions, at most ", kMostRank,
                                     " are supported"));
  }
  if (std::any_of(shape.begin(), shape.end(),
                  [](int64_t size) { return size < 0; })) {
    return call.Invalid(
        absl::StrCat("an output would have shape ", ShapeToString(shape)));
  }
  if (HasTooManyElements(shape)) {
    return call.Invalid(absl::StrCat("an output of shape ",
                                     ShapeToString(shape),
                                     " has more than 2^31 elements"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> OpCall::IntsOf(
    int i, absl::string_view what) const {
  if (TypeOf(i) != DataType::kInt64 && TypeOf(i) != DataType::kInt32) {
    return Invalid(absl::StrCat(what, " (input ", i, ") is ",
                                DataTypeName(TypeOf(i)),
                                ", not int64 or int32"));
  }
  if (!IsKnown(i)) {
    return Unsupported(absl::StrCat(
        what, " (input ", i,
        ") depends on the data; only what follows from shapes is supported"));
  }
  const Tensor& tensor = TensorOf(i);
  if (tensor.type() == DataType::kInt64) {
    const auto values = tensor.values<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  const auto values = tensor.values<int32_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

absl::StatusOr<std::optional<std::vector<int64_t>>>
OpCall::IntsOfAttributeOrInput(const std::string& name, int i) const {
  if (Has(i)) {
    LATHE_ASSIGN_OR_RETURN(std::vector<int64_t> values, IntsOf(i, name));
    return std::optional<std::vector<int64_t>>(std::move(values));
  }
  if (!HasAttribute(name)) return std::optional<std::vector<int64_t>>();
  return std::optional<std::vector<int64_t>>(node_.IntsOr(name, {}));
}

absl::StatusOr<float> OpCall::ScalarOr(int i, float fallback) const {
  if (!Has(i)) return fallback;
  if (!IsKnown(i) || TypeOf(i) != DataType::kFloat32 ||
      TensorOf(i).size() != 1) {
    return Unsupported(
        absl::StrCat("input ", i, " must be one constant float32"));
  }
  return ValuesOf<float>(i)[0];
}

absl::Status OpCall::Invalid(absl::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat("node \"", node_.name, "\" (", node_.op_type, "): ", what));
}

absl::Status OpCall::Unsupported(absl::string_view what) const {
  return absl::UnimplementedError(
      absl::StrCat("node \"", node_.name, "\" (", node_.op_type, "): ", what));
}

const OperatorDef* FindOperator(absl::string_view domain,
                                absl::string_view op_type) {
  if (!domain.empty()) return nullptr;
  const auto found = AllOperators().find(op_type);
  return found == AllOperators().end() ? nullptr : found->second;
}

std::vector<std::string> OperatorNames() {
  std::vector<std::string> names;
  for (const auto& entry : AllOperators()) names.push_back(entry.first);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<OpValue>> ApplyRule(const OperatorDef& def,
                                               const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CheckInputs(def, call));
  LATHE_ASSIGN_OR_RETURN(std::vector<OpValue> outputs, def.rule(call));
  for (int i = 0; i < call.OutputCount(); ++i) {
    if (i < static_cast<int>(outputs.size())) continue;
    if (call.node().outputs[i] == kNoValue) continue;
    return call.Unsupported(absl::StrCat("output ", i, " is not supported"));
  }
  for (const OpValue& output : outputs) {
    LATHE_RETURN_IF_ERROR(CheckSize(call, output.shape));
  }
  return outputs;
}

}  // namespace lathe
