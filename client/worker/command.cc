#include "client/worker/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "client/json_text.h"
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

absl::StatusOr<Graph> OpenGraph(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  auto graph = OpenModel(bytes);
  if (!graph.ok()) return ModelFailed(graph.status(), path);
  return graph;
}

}  // namespace lathe
