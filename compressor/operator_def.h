// How an operator is known: one rule that checks its inputs and says what comes
// out, one kernel that computes it. Private to the compressor.
//
// The rule is the only place that validates; a kernel runs after its rule and
// trusts it, save for what depends on data (indices of Gather).
#ifndef LATHE_COMPRESSOR_OPERATOR_DEF_H_
#define LATHE_COMPRESSOR_OPERATOR_DEF_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Type and shape of a value.
struct OpValue {
  DataType type = DataType::kFloat32;
  Shape shape;
};

// An operator's input as a rule or a kernel sees it.
struct OpInput {
  bool is_present = false;
  OpValue value;
  // Null when only type and shape are known.
  const Tensor* tensor = nullptr;
};

// One use of an operator. The node must outlive it.
class OpCall {
 public:
  OpCall(const Node& node, int64_t opset, std::vector<OpInput> inputs)
      : node_(node), opset_(opset), inputs_(std::move(inputs)) {}

  const Node& node() const { return node_; }
  int64_t opset() const { return opset_; }
  // Inputs of the operator itself, those left out included.
  int InputCount() const { return static_cast<int>(inputs_.size()); }
  int OutputCount() const { return static_cast<int>(node_.outputs.size()); }
  bool Has(int i) const { return i < InputCount() && inputs_[i].is_present; }

  // REQUIRES: Has(i).
  const OpValue& In(int i) const { return inputs_[i].value; }
  const Shape& ShapeOf(int i) const { return inputs_[i].value.shape; }
  DataType TypeOf(int i) const { return inputs_[i].value.type; }
  int64_t Rank(int i) const {
    return static_cast<int64_t>(inputs_[i].value.shape.size());
  }
  bool IsKnown(int i) const { return Has(i) && inputs_[i].tensor != nullptr; }

  // REQUIRES: IsKnown(i); in a kernel all inputs are.
  const Tensor& TensorOf(int i) const { return *inputs_[i].tensor; }
  template <typename T>
  absl::Span<const T> ValuesOf(int i) const {
    return TensorOf(i).values<T>();
  }

  // The integers of input `i`, which is named `what`.
  // Errors: InvalidArgument - it is not an integer tensor, or is not known
  // before the network runs.
  absl::StatusOr<std::vector<int64_t>> IntsOf(int i,
                                              absl::string_view what) const;
  // The attribute `name`, or input `i` where that form has the integers; none
  // when both are absent.
  absl::StatusOr<std::optional<std::vector<int64_t>>> IntsOfAttributeOrInput(
      const std::string& name, int i) const;
  // The only float of input `i`, or `fallback` when it is left out.
  absl::StatusOr<float> ScalarOr(int i, float fallback) const;

  bool HasAttribute(const std::string& name) const {
    return node_.attributes.count(name) > 0;
  }

  absl::Status Invalid(absl::string_view what) const;
  absl::Status Unsupported(absl::string_view what) const;

 private:
  const Node& node_;
  int64_t opset_;
  std::vector<OpInput> inputs_;
};

using OpRule = absl::StatusOr<std::vector<OpValue>> (*)(const OpCall& call);
// `outputs` is what the rule said; one tensor for each is returned.
using OpKernel = absl::StatusOr<std::vector<Tensor>> (*)(
    const OpCall& call, const std::vector<OpValue>& outputs);

// Which element types an operator's inputs may have.
enum class OpTypes {
  // The rule looks itself.
  kAny,
  // Every input is float32.
  kFloat32,
  // Input 0 is float32, the others as the rule says.
  kFirstFloat32,
};

constexpr int kAnyCount = 1 << 20;

struct OperatorDef {
  const char* op_type;
  int least_inputs;
  int most_inputs;
  OpTypes types;
  OpRule rule;
  OpKernel kernel;
  // Whether a run costs more than reading its inputs and writing its outputs
  // a few times: shape inference never runs such an operator.
  bool is_heavy = false;
};

// The definition of an operator; null when it is not supported.
const OperatorDef* FindOperator(absl::string_view domain,
                                absl::string_view op_type);

// The names of all operators, sorted.
std::vector<std::string> OperatorNames();

// Checks the call's inputs and says what comes out. Values of more than 2^31
// elements are refused.
absl::StatusOr<std::vector<OpValue>> ApplyRule(const OperatorDef& def,
                                               const OpCall& call);

// The families; each in its own file.
absl::Span<const OperatorDef> ConvOperators();
absl::Span<const OperatorDef> PoolOperators();
absl::Span<const OperatorDef> UnaryOperators();
absl::Span<const OperatorDef> ConvertOperators();
absl::Span<const OperatorDef> BinaryOperators();
absl::Span<const OperatorDef> MovementOperators();
absl::Span<const OperatorDef> PadOperators();
absl::Span<const OperatorDef> IndexOperators();
absl::Span<const OperatorDef> ReshapeOperators();
absl::Span<const OperatorDef> ShapeOperators();
absl::Span<const OperatorDef> MatMulOperators();
absl::Span<const OperatorDef> ReduceOperators();
absl::Span<const OperatorDef> NormOperators();
absl::Span<const OperatorDef> ResizeOperators();
absl::Span<const OperatorDef> QuantizeOperators();
absl::Span<const OperatorDef> RecurrentOperators();
absl::Span<const OperatorDef> AttentionOperators();
absl::Span<const OperatorDef> IntegerOperators();
absl::Span<const OperatorDef> SequenceOperators();
absl::Span<const OperatorDef> ScatterOperators();

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_OPERATOR_DEF_H_
