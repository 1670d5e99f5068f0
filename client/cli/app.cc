#include "client/cli/app.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/credential_flags.h"
#include "client/status.h"

namespace lathe {
namespace {

void PrintError(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  std::fprintf(
      stderr, "lathe: %s%s%s%s\n", std::string(status.message()).c_str(),
      reason.empty() ? "" : " (", reason.c_str(), reason.empty() ? "" : ")");
}

// CLI11 throws; it does so nowhere but below this function.
absl::Status Parse(CLI::App& app, int argc, char** argv, int& exit_code) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Prints the message, or the help that was asked for.
    exit_code = app.exit(error) == 0 ? kExitDone : kExitUsage;
    return absl::InvalidArgumentError(error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lathe: %s\n", error.what());
    exit_code = kExitUsage;
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

}  // namespace

void SetUpApp(CLI::App& app, Cli& cli) {
  app.name("lathe");
  app.description(
      "Searches per-layer precisions and channels of an ONNX network, against "
      "measured accuracy and latency.");
  app.fallthrough();
  app.require_subcommand(1);
  app.add_option("--server", cli.server, "HOST:PORT of lathe-server")
      ->envname("LATHE_SERVER");
  AddCredentialFlags(app, cli.credentials);
  app.add_option("-o,--output", cli.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  AddSearch(app, cli);
  AddSubmit(app, cli);
  AddJobCommands(app, cli);
  AddWatchCommands(app, cli);
  AddTrialCommands(app, cli);
  AddBest(app, cli);
  AddExport(app, cli);
  AddReport(app, cli);
  AddAdminCommands(app, cli);
  AddDiagnosis(app, cli);
  AddPool(app, cli);
}

int RunLathe(int argc, char** argv) {
  CLI::App app;
  Cli cli;
  SetUpApp(app, cli);
  int exit_code = kExitDone;
  if (!Parse(app, argc, argv, exit_code).ok()) return exit_code;
  const absl::Status status = cli.action();
  if (!status.ok()) PrintError(status);
  return ExitCode(status);
}

}  // namespace lathe
