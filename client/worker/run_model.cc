#include "client/worker/run_model.h"

#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "client/worker/tensor_convert.h"
#include "compressor/canonical.h"
#include "compressor/shape_inference.h"
#include "evaluator/compile.h"
#include "evaluator/executor.h"

namespace lathe {
namespace {

// A graph and the tensors of its inputs, in their order.
struct BoundGraph {
  Graph graph;
  std::vector<Tensor> inputs;
};

absl::StatusOr<Tensor> FitTensor(const Value& value, const Tensor& tensor) {
  const Shape& given = tensor.shape();
  // A scalar and a shape left out look alike: what is empty fixes nothing.
  bool fits = value.shape.empty() || value.shape.size() == given.size();
  for (size_t d = 0; fits && d < value.shape.size(); ++d) {
    fits = value.shape[d] == kDynamic || value.shape[d] == given[d];
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape ", ShapeToString(given), ", the model wants ",
                     ShapeToString(value.shape)));
  }
  return ConvertTensor(tensor, value.type);
}

absl::Status CheckNames(const Graph& graph,
                        const std::map<std::string, Tensor>& tensors) {
  std::set<std::string> names;
  for (const ValueId id : graph.inputs()) names.insert(graph.value(id).name);
  for (const std::string& name : names) {
    if (tensors.count(name) != 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "input ", name, " is missing; add --input ", name, "=FILE"));
  }
  for (const auto& [name, tensor] : tensors) {
    if (names.count(name) != 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "input ", name, ": the model has no input of that name, only ",
        absl::StrJoin(names, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundGraph> BindTensors(
    const Graph& graph, const std::map<std::string, Tensor>& tensors) {
  LATHE_RETURN_IF_ERROR(CheckNames(graph, tensors));
  GraphParts parts = graph.parts();
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    Value& value = parts.values[id];
    auto fitting = FitTensor(value, tensors.at(value.name));
    if (!fitting.ok()) {
      return Annotate(fitting.status(), absl::StrCat("input ", value.name));
    }
    // What runs once may as well be folded for the sizes that it has.
    value.shape = fitting->shape();
    inputs.push_back(*std::move(fitting));
  }
  LATHE_ASSIGN_OR_RETURN(Graph fixed, Graph::Create(std::move(parts)));
  return BoundGraph{std::move(fixed), std::move(inputs)};
}

// `bound` with its vectors and scalars as constants.
absl::StatusOr<BoundGraph> FixVectors(const BoundGraph& bound) {
  GraphParts parts = bound.graph.parts();
  std::vector<ValueId> inputs;
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < parts.inputs.size(); ++i) {
    const ValueId id = parts.inputs[i];
    if (bound.inputs[i].shape().size() <= 1) {
      parts.values[id].constant = bound.inputs[i];
    } else {
      inputs.push_back(id);
      tensors.push_back(bound.inputs[i]);
    }
  }
  parts.inputs = std::move(inputs);
  LATHE_ASSIGN_OR_RETURN(Graph graph, Graph::Create(std::move(parts)));
  return BoundGraph{std::move(graph), std::move(tensors)};
}

absl::StatusOr<std::vector<Tensor>> RunBound(
    const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> values,
                         InferShapes(graph, shapes));
  ExecutorOptions options;
  options.measures_kernels = false;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         CompileForShapes(graph, shapes, options));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& bytes = inputs[i].bytes();
    std::memcpy(executor->input(i), bytes.data(), bytes.size());
  }
  LATHE_RETURN_IF_ERROR(executor->Run());
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const Shape& shape = executor->output_shapes()[i];
    const DataType type = values[graph.outputs()[i]].type;
    const size_t bytes = ElementCount(shape) * ElementBytes(type);
    outputs.emplace_back(
        type, shape,
        std::string(static_cast<const char*>(executor->output(i)), bytes));
  }
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> RunEitherForm(const BoundGraph& bound) {
  const auto canonical = Canonicalize(bound.graph);
  return RunBound(canonical.ok() ? *canonical : bound.graph, bound.inputs);
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> RunModel(
    const Graph& parsed, const std::map<std::string, Tensor>& tensors) {
  LATHE_ASSIGN_OR_RETURN(const BoundGraph bound, BindTensors(parsed, tensors));
  auto outputs = RunEitherForm(bound);
  if (outputs.ok()) return outputs;
  const auto fixed = FixVectors(bound);
  if (fixed.ok() && fixed->inputs.size() < bound.inputs.size()) {
    outputs = RunEitherForm(*fixed);
    if (outputs.ok()) return outputs;
  }
  return absl::FailedPreconditionError(outputs.status().message());
}

}  // namespace lathe
