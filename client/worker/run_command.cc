// `lathe-worker run`: runs a model on given tensors.
#include <CLI/CLI.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status.h"
#include "client/worker/command.h"
#include "client/worker/tensor_convert.h"
#include "compressor/shape_inference.h"
#include "compressor/tensor_file.h"
#include "data/npy.h"
#include "evaluator/compile.h"
#include "evaluator/executor.h"

namespace lathe {
namespace {

struct RunFlags {
  std::string model;
  std::vector<std::string> inputs;
  std::string output_folder;
  int threads = 1;
};

absl::StatusOr<Tensor> ReadTensor(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  if (absl::EndsWith(path, ".pb")) return ParseTensorFile(bytes);
  LATHE_ASSIGN_OR_RETURN(const Array array, ParseNpy(bytes));
  return TensorFromArray(array);
}

// The tensors of `name=path` texts, by name; one without a name is the sole
// input's.
absl::StatusOr<std::map<std::string, Tensor>> ReadTensors(
    const std::vector<std::string>& texts, const Graph& graph) {
  std::map<std::string, Tensor> tensors;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--input ", text, ": not of the form name=a.npy or name=a.pb"));
    }
    const std::string name = text.substr(0, equals);
    auto tensor = ReadTensor(text.substr(equals + 1));
    if (!tensor.ok()) return Annotate(tensor.status(), text);
    if (!tensors.emplace(name, *std::move(tensor)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--input ", name, ": given twice"));
    }
  }
  return tensors;
}

// In the order of the graph's inputs, with their element types.
absl::StatusOr<std::vector<Tensor>> OrderTensors(
    std::map<std::string, Tensor> tensors, const Graph& graph) {
  std::vector<Tensor> ordered;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    const auto found = tensors.find(value.name);
    if (found == tensors.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model's input ", value.name,
                       " is missing; add --input ", value.name, "=FILE"));
    }
    auto converted = ConvertTensor(found->second, value.type);
    if (!converted.ok()) {
      return Annotate(converted.status(), absl::StrCat("input ", value.name));
    }
    ordered.push_back(*std::move(converted));
    tensors.erase(found);
  }
  if (!tensors.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--input ", tensors.begin()->first,
                     ": the model has no input of that name"));
  }
  return ordered;
}

// Whether the tensors have the sizes that the model fixes.
absl::Status CheckShapes(const Graph& graph,
                         const std::vector<Tensor>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Value& value = graph.value(graph.inputs()[i]);
    const Shape& given = tensors[i].shape();
    bool fits = value.shape.size() == given.size();
    for (size_t d = 0; fits && d < given.size(); ++d) {
      fits = value.shape[d] == kDynamic || value.shape[d] == given[d];
    }
    if (!fits) {
      return absl::InvalidArgumentError(
          absl::StrCat("input ", value.name, ": shape ", ShapeToString(given),
                       ", the model wants ", ShapeToString(value.shape)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> RunGraph(
    const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> values,
                         InferShapes(graph, shapes));
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         CompileForShapes(graph, shapes));
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

absl::Status RunRun(const RunFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenGraph(flags.model));
  LATHE_ASSIGN_OR_RETURN(auto tensors, ReadTensors(flags.inputs, graph));
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         OrderTensors(std::move(tensors), graph));
  LATHE_RETURN_IF_ERROR(CheckShapes(graph, inputs));
  SetThreads(flags.threads);
  const auto outputs = RunGraph(graph, inputs);
  if (!outputs.ok()) return ModelFailed(outputs.status(), flags.model);
  LATHE_RETURN_IF_ERROR(MakeFolders(flags.output_folder));
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string name =
        absl::StrReplaceAll(graph.value(graph.outputs()[i]).name, {{"/", "_"}});
    LATHE_RETURN_IF_ERROR(WriteFileAtomically(
        absl::StrCat(flags.output_folder, "/", name, ".npy"),
        NpyOfTensor((*outputs)[i])));
  }
  return absl::OkStatus();
}

}  // namespace

void AddRun(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command =
      app.add_subcommand("run", "Run a model on tensors from files");
  AddModelArgument(*command, flags->model);
  AddThreadsFlag(*command, flags->threads);
  command
      ->add_option("--input", flags->inputs,
                   "name=a.npy or name=a.pb (an ONNX TensorProto)")
      ->take_all();
  command
      ->add_option("--output", flags->output_folder,
                   "folder for the outputs, one .npy each")
      ->required();
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunRun(*flags); }; });
}

}  // namespace lathe
