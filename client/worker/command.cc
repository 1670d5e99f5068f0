#include "client/worker/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "client/json_text.h"
#include "compressor/external_data.h"
#include "compressor/model_file.h"

namespace lathe {

void AddOutputFlag(CLI::App& command, std::string& output) {
  command.add_option("-o,--output-format", output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
}

void AddModelArgument(CLI::App& command, std::string& path) {
  command.add_option("MODEL", path, "ONNX file, or a packed one")->required();
}

void AddThreadsFlag(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "threads of one inference call")
      ->check(CLI::Range(1, 1024));
}

void AddSizesFlag(CLI::App& command, std::vector<std::string>& sizes) {
  command
      .add_option("--sizes", sizes,
                  "NAME=3x224x224: sizes behind the batch of an input that the "
                  "model leaves open")
      ->take_all();
}

InputShapeSource ShapesOfFlags(std::vector<std::string> sizes) {
  return [sizes = std::move(sizes)](
             const Graph& graph, const Value& input) -> absl::StatusOr<Shape> {
    for (const std::string& text : sizes) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(text, absl::MaxSplits('=', 1));
      if (parts.first != input.name) continue;
      Shape shape = {1};
      for (absl::string_view size : absl::StrSplit(parts.second, 'x')) {
        if (absl::SimpleAtoi(size, &shape.emplace_back())) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("--sizes ", text, ": not of the form NAME=3x224x224"));
      }
      return shape;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "input \"", input.name, "\" of shape ", ShapeToString(input.shape),
        " has a dynamic dimension besides the batch; export the model with "
        "fixed sizes, or give them by --sizes ",
        input.name, "=3x224x224 where the command has that flag"));
  };
}

void PrintJson(const nlohmann::json& value) {
  PrintText(absl::StrCat(DumpJson(value), "\n"));
}

void PrintText(absl::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return 4;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return 5;
    default:
      return 6;
  }
}

absl::Status ModelFailed(const absl::Status& status, const std::string& path) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange:
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": ", status.message()));
    default:
      return Annotate(status, path);
  }
}

absl::StatusOr<Graph> OpenGraph(const std::string& path,
                                const InputShapeSource& shape_of) {
  const auto bytes = ReadModelFile(path);
  if (!bytes.ok()) return ModelFailed(bytes.status(), path);
  auto graph = OpenModel(*bytes, shape_of);
  if (!graph.ok()) return ModelFailed(graph.status(), path);
  return graph;
}

}  // namespace lathe
