// `lathe-worker run`: runs a model on given tensors.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status.h"
#include "client/worker/command.h"
#include "client/worker/run_model.h"
#include "client/worker/tensor_convert.h"
#include "compressor/external_data.h"
#include "compressor/model_file.h"
#include "compressor/tensor_file.h"
#include "data/npy.h"
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

// The tensors of `name=path` texts, by name.
absl::StatusOr<std::map<std::string, Tensor>> ReadTensors(
    const std::vector<std::string>& texts) {
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

absl::Status RunRun(const RunFlags& flags) {
  const auto bytes = ReadModelFile(flags.model);
  if (!bytes.ok()) return ModelFailed(bytes.status(), flags.model);
  const auto graph = ParseModel(*bytes);
  if (!graph.ok()) return ModelFailed(graph.status(), flags.model);
  LATHE_ASSIGN_OR_RETURN(const auto tensors, ReadTensors(flags.inputs));
  SetThreads(flags.threads);
  const auto outputs = RunModel(*graph, tensors);
  if (!outputs.ok()) return Annotate(outputs.status(), flags.model);
  LATHE_RETURN_IF_ERROR(MakeFolders(flags.output_folder));
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string name = absl::StrReplaceAll(
        graph->value(graph->outputs()[i]).name, {{"/", "_"}});
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
