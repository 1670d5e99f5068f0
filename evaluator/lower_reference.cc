#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/reference_ops.h"
#include "evaluator/lower_ops.h"

namespace lathe {
namespace {

// An input of the loop: constant, left out, or the next operand.
struct LoopInput {
  bool is_operand = false;
  Tensor constant;
  DataType type = DataType::kFloat32;
  Shape shape;
};

struct LoopOutput {
  // Index among the node's outputs.
  size_t index = 0;
  int64_t bytes = 0;
};

struct ReferenceLoop {
  Node node;
  int64_t opset = 17;
  std::vector<LoopInput> inputs;
  std::vector<LoopOutput> outputs;

  absl::Status operator()(absl::Span<char* const> operands) const {
    size_t next = 0;
    std::vector<Tensor> tensors;
    for (const LoopInput& input : inputs) {
      if (!input.is_operand) {
        tensors.push_back(input.constant);
        continue;
      }
      const int64_t bytes =
          ElementCount(input.shape) * ElementBytes(input.type);
      tensors.emplace_back(input.type, input.shape,
                           std::string(operands[next++], bytes));
    }
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> results,
                           EvaluateNode(node, opset, tensors));
    for (const LoopOutput& output : outputs) {
      const std::string& bytes = results[output.index].bytes();
      if (static_cast<int64_t>(bytes.size()) != output.bytes) {
        return absl::InternalError(
            absl::StrCat("node ", node.name, ": output of ", bytes.size(),
                         " bytes, but its inferred shape has ", output.bytes));
      }
      std::memcpy(operands[next++], bytes.data(), bytes.size());
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status LowerReference(LoweringContext& context, const Node& node) {
  if (!IsSupportedOperator(node.domain, node.op_type)) {
    return absl::UnimplementedError(absl::StrCat(
        "node ", node.name, ": operator ", node.op_type, " is not supported"));
  }
  ReferenceLoop loop;
  loop.node = node;
  loop.opset = context.graph().parts().opset;
  std::vector<Operand> operands;
  for (ValueId value : node.inputs) {
    LoopInput input;
    if (value == kNoValue) {
      input.constant = Tensor::Of<float>({0}, std::vector<float>());
    } else if (const Tensor* constant = context.constant(value)) {
      input.constant = *constant;
    } else {
      LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(value));
      operands.push_back(Reads(copy));
      input.is_operand = true;
      input.type = context.type(value);
      input.shape = context.shape(value);
    }
    loop.inputs.push_back(std::move(input));
  }
  std::vector<std::pair<ValueId, Copy>> results;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId value = node.outputs[i];
    if (value == kNoValue || context.constant(value) != nullptr) continue;
    const Copy copy = context.NewRawCopy(value);
    operands.push_back(Writes(copy));
    loop.outputs.push_back(
        {i, static_cast<int64_t>(ElementCount(context.shape(value)) *
                                 ElementBytes(context.type(value)))});
    results.emplace_back(value, copy);
  }
  context.AddLoop(absl::AsciiStrToLower(node.op_type), "reference",
                  std::move(operands), std::move(loop));
  for (const auto& [value, copy] : results) context.Define(value, copy);
  return absl::OkStatus();
}

}  // namespace lathe
