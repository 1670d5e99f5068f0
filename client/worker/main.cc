// lathe-worker: works for a server, or runs the engine by itself.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/credential_flags.h"
#include "client/evaluation_flags.h"
#include "client/worker/command.h"
#include "client/worker/evaluate_command.h"
#include "client/worker/placement.h"
#include "client/worker/worker_loop.h"

namespace {

constexpr char kDescription[] =
    "Evaluates compressed networks on this machine: for a server (--server), "
    "or, by the commands below, without one.";

// The cache that is used when none is named.
std::string DefaultCacheFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] != '\0') {
    return absl::StrCat(cache, "/lathe");
  }
  const char* home = std::getenv("HOME");
  return absl::StrCat(home == nullptr ? "/tmp" : home, "/.cache/lathe");
}

void AddWorkerFlags(CLI::App& app, lathe::WorkerOptions& options,
                    lathe::EvaluationLimits& limits) {
  app.add_option("--server", options.server, "HOST:PORT of the server");
  lathe::AddCredentialFlags(app, options.credentials);
  app.add_option("--threads", options.threads, "threads of evaluations")
      ->check(CLI::Range(1, 1024));
  app.add_option("--cache", options.cache_folder,
                 "folder that keeps models and data");
  app.add_option_function<std::string>(
         "--log-level",
         [](const std::string& word) {
           lathe::SetLogLevel(lathe::ParseLogLevel(word).value());
         },
         "debug, info (default), warning, error or off")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}));
  app.add_flag_callback(
      "--log-json", [] { lathe::SetLogFormat(lathe::LogFormat::kJson); },
      "log one JSON object a line");
  lathe::AddEvaluationFlags(app, limits);
  // What `lathe search` and the pools start workers with.
  app.add_option("--core", options.pinned_core)->group("");
  app.add_flag("--exit-with-parent", options.exits_with_parent)->group("");
}

absl::Status Work(lathe::WorkerOptions options,
                  const lathe::EvaluationLimits& limits) {
  options.evaluation_time_limit = absl::Minutes(limits.minutes);
  options.evaluation_memory_bytes = limits.memory_bytes();
  absl::StatusOr<lathe::Placement> placement = lathe::ReadPlacement(getenv);
  if (!placement.ok()) return placement.status();
  options.placement = *std::move(placement);
  // What it keeps of the server's jobs is not everybody's on the machine.
  umask(0077);
  if (!options.server.empty()) return lathe::RunWorker(options);
  return absl::InvalidArgumentError(
      "no command and no --server: one of them is needed; see --help");
}

// One line on standard error; the exit code.
int Report(const absl::Status& status) {
  if (!status.ok()) {
    std::string line = absl::StrCat("lathe-worker: ", status.message());
    for (char& c : line) {
      if (c == '\n') c = ' ';
    }
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  return lathe::ExitCodeOf(status);
}

int Run(int argc, char** argv) {
  CLI::App app(kDescription, "lathe-worker");
  lathe::WorkerOptions options;
  options.cache_folder = DefaultCacheFolder();
  lathe::EvaluationLimits limits;
  AddWorkerFlags(app, options, limits);
  lathe::ChosenCommand chosen;
  lathe::AddBench(app, chosen);
  lathe::AddEval(app, chosen);
  lathe::AddRun(app, chosen);
  lathe::AddTrial(app, chosen);
  lathe::AddSpace(app, chosen);
  lathe::AddTable(app, chosen);
  lathe::AddSensitivity(app, chosen);
  // The half of a worker that evaluates; started by the other half.
  int64_t memory_bytes = 0;
  CLI::App* const child = app.add_subcommand("evaluate")->group("");
  child->add_option("--memory-bytes", memory_bytes)
      ->check(CLI::NonNegativeNumber);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help);
    return 0;
  } catch (const CLI::ParseError& error) {
    return Report(
        absl::InvalidArgumentError(absl::StrCat(error.what(), "; see --help")));
  }
  if (child->parsed() || chosen.run) lathe::KeepFreedMemory();
  if (child->parsed()) return lathe::RunEvaluateChild(memory_bytes);
  if (chosen.run) return Report(chosen.run());
  return Report(Work(options, limits));
}

}  // namespace

int main(int argc, char** argv) { return Run(argc, argv); }
