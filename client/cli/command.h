// What all commands of `lathe` share.
#ifndef LATHE_CLIENT_CLI_COMMAND_H_
#define LATHE_CLIENT_CLI_COMMAND_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/channel.h"

namespace CLI {
class App;
}

namespace lathe {

// Flags given before or after any command, and what is to be done. Each
// command's flags live as long as this. Not thread-safe.
struct Cli {
  // HOST:PORT; from --server or $LATHE_SERVER.
  std::string server;
  Credentials credentials;
  // "text" or "json".
  std::string output = "text";
  // Set by the command that the arguments name.
  std::function<absl::Status()> action;

  bool is_json() const { return output == "json"; }

  // A channel that is connected.
  // Errors: InvalidArgument - no server was named; Unavailable - it does not
  // answer.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect() const;
};

// Writes `value` as one line to standard output, at once.
void PrintJson(const nlohmann::json& value);
// Writes `text` to standard output.
void PrintText(const std::string& text);

// Registers a command whose only argument is a job.
void AddNamedCommand(
    CLI::App& app, Cli& cli, const char* name, const char* text,
    std::function<absl::Status(const Cli& cli, const std::string& job)> run);

// Each registers one family of commands with `app`; `cli` must outlive it.
void AddSubmit(CLI::App& app, Cli& cli);
void AddJobCommands(CLI::App& app, Cli& cli);    // list show pause ...
void AddWatchCommands(CLI::App& app, Cli& cli);  // watch events
void AddTrialCommands(CLI::App& app, Cli& cli);  // trials frontier try
void AddBest(CLI::App& app, Cli& cli);
void AddExport(CLI::App& app, Cli& cli);
void AddReport(CLI::App& app, Cli& cli);
void AddAdminCommands(CLI::App& app, Cli& cli);  // workers drain backup ...
void AddDiagnosis(CLI::App& app, Cli& cli);      // explain doctor
void AddPool(CLI::App& app, Cli& cli);           // pool up, status, scale, down
void AddSearch(CLI::App& app, Cli& cli);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_COMMAND_H_
