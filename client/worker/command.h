// What the offline commands of lathe-worker share.
#ifndef LATHE_CLIENT_WORKER_COMMAND_H_
#define LATHE_CLIENT_WORKER_COMMAND_H_

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/graph.h"
#include "compressor/input_shapes.h"

namespace CLI {
class App;
}

namespace lathe {

// Set by the command that the arguments name. Not thread-safe.
struct ChosenCommand {
  std::function<absl::Status()> run;
};

// Each registers one command with `app`; `chosen` must outlive it.
void AddBench(CLI::App& app, ChosenCommand& chosen);
void AddEval(CLI::App& app, ChosenCommand& chosen);
void AddRun(CLI::App& app, ChosenCommand& chosen);
void AddTrial(CLI::App& app, ChosenCommand& chosen);
void AddSpace(CLI::App& app, ChosenCommand& chosen);
void AddTable(CLI::App& app, ChosenCommand& chosen);
void AddSensitivity(CLI::App& app, ChosenCommand& chosen);

// Adds `-o text|json`; `output` must outlive the parse.
void AddOutputFlag(CLI::App& command, std::string& output);
// Adds the positional model file.
void AddModelArgument(CLI::App& command, std::string& path);
// Adds `--threads N`.
void AddThreadsFlag(CLI::App& command, int& threads);

// Adds `--sizes NAME=3x224x224`, the sizes behind the batch of inputs that the
// model leaves open; `sizes` must outlive the parse.
void AddSizesFlag(CLI::App& command, std::vector<std::string>& sizes);
// What --sizes said.
InputShapeSource ShapesOfFlags(std::vector<std::string> sizes);

// Writes one line to standard output.
void PrintJson(const nlohmann::json& value);
void PrintText(absl::string_view text);

// The exit code of a command that ended with `status`: 0 done, 2 usage, 3 not
// found, 4 denied, 5 unavailable, 6 the model failed.
int ExitCodeOf(const absl::Status& status);

// `status`, which is not OK, as one that says that the model at `path` failed.
// NotFound and the like stay what they are.
absl::Status ModelFailed(const absl::Status& status, const std::string& path);

// A model file, parsed and brought to the canonical form; `shape_of` says the
// sizes that it leaves open.
//
// Errors:
//   NotFound, PermissionDenied, ... - the file cannot be read.
//   FailedPrecondition - it is no model, or not one that Lathe supports.
absl::StatusOr<Graph> OpenGraph(
    const std::string& path,
    const InputShapeSource& shape_of = ShapesOfFlags({}));

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_COMMAND_H_
