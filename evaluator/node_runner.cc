#include "evaluator/node_runner.h"

#include <cstring>
#include <memory>
#include <utility>

#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/reference_ops.h"
#include "evaluator/compile.h"

namespace lathe {
namespace {

bool HasFastKernel(const Node& node) {
  static const char* const kOps[] = {"Conv",
                                     "Gemm",
                                     "MatMul",
                                     "MaxPool",
                                     "AveragePool",
                                     "GlobalAveragePool",
                                     "Relu",
                                     "Sigmoid",
                                     "Add",
                                     "Mul",
                                     "LayerNormalization"};
  for (const char* op : kOps) {
    if (node.domain.empty() && node.op_type == op) return true;
  }
  return false;
}

// Whether input `index` is a parameter: those are reordered once, when the
// graph of the node is compiled.
bool IsParameter(const Node& node, size_t index) {
  const bool has_weights = node.op_type == "Conv" || node.op_type == "Gemm" ||
                           node.op_type == "LayerNormalization";
  return has_weights && index > 0 &&
         static_cast<int>(index) < node.OperatorInputs();
}

absl::StatusOr<Graph> GraphOf(const Node& node, int64_t opset,
                              absl::Span<const Tensor> inputs) {
  GraphParts parts;
  parts.opset = opset;
  Node own = node;
  own.precision = v1::F32;
  own.quantized_weights.reset();
  own.quantized_recurrence.reset();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (own.inputs[i] == kNoValue) continue;
    Value value;
    value.name = "input" + std::to_string(i);
    value.type = inputs[i].type();
    value.shape = inputs[i].shape();
    own.inputs[i] = static_cast<ValueId>(parts.values.size());
    if (IsParameter(node, i)) {
      value.constant = inputs[i];
    } else {
      parts.inputs.push_back(own.inputs[i]);
    }
    parts.values.push_back(std::move(value));
  }
  for (size_t i = 0; i < own.outputs.size(); ++i) {
    if (own.outputs[i] == kNoValue) continue;
    own.outputs[i] = static_cast<ValueId>(parts.values.size());
    parts.outputs.push_back(own.outputs[i]);
    Value value;
    value.name = "output" + std::to_string(i);
    parts.values.push_back(std::move(value));
  }
  parts.nodes.push_back(std::move(own));
  return Graph::Create(std::move(parts));
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> RunNode(const Node& node, int64_t opset,
                                            absl::Span<const Tensor> inputs) {
  if (!HasFastKernel(node) || node.outputs.size() != 1) {
    return EvaluateNode(node, opset, inputs);
  }
  if (node.precision == v1::INT8_DYNAMIC) {
    Node plain = node;
    plain.precision = v1::F32;
    std::vector<Tensor> rounded(inputs.begin(), inputs.end());
    rounded[0] = RoundToOwnGrid(inputs[0]);
    return RunNode(plain, opset, rounded);
  }
  LATHE_ASSIGN_OR_RETURN(const Graph graph, GraphOf(node, opset, inputs));
  std::vector<Shape> shapes;
  for (ValueId value : graph.inputs()) {
    if (graph.value(value).type != DataType::kFloat32) {
      return EvaluateNode(node, opset, inputs);
    }
    shapes.push_back(graph.value(value).shape);
  }
  ExecutorOptions options;
  options.measures_kernels = false;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         CompileForShapes(graph, shapes, options));
  int next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue || IsParameter(node, i)) continue;
    const std::string& bytes = inputs[i].bytes();
    std::memcpy(executor->input(next++), bytes.data(), bytes.size());
  }
  LATHE_RETURN_IF_ERROR(executor->Run());
  const Shape& shape = executor->output_shapes()[0];
  const char* bytes = static_cast<const char*>(executor->output(0));
  return std::vector<Tensor>{
      Tensor(DataType::kFloat32, shape,
             std::string(bytes, ElementCount(shape) * sizeof(float)))};
}

}  // namespace lathe
