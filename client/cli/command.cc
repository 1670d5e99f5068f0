#include "client/cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/channel.h"
#include "client/json_text.h"

namespace lathe {
namespace {

constexpr absl::Duration kConnectPatience = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Cli::Connect() const {
  if (server.empty()) {
    return absl::InvalidArgumentError(
        "no server named: give --server HOST:PORT or set LATHE_SERVER");
  }
  LATHE_ASSIGN_OR_RETURN(auto channel, OpenChannel(server, credentials));
  // Calls would wait for a server that restarts; a person who mistyped the
  // address is told sooner.
  const absl::Time deadline = absl::Now() + kConnectPatience;
  if (!channel->WaitForConnected(absl::ToChronoTime(deadline))) {
    return absl::UnavailableError(absl::StrCat(
        "no server answers at ", server, "; is lathe-server running there?"));
  }
  return channel;
}

void PrintText(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void PrintJson(const nlohmann::json& value) {
  PrintText(DumpJson(value) + "\n");
}

void AddNamedCommand(
    CLI::App& app, Cli& cli, const char* name, const char* text,
    std::function<absl::Status(const Cli& cli, const std::string& job)> run) {
  // Shared with the callbacks, which outlive this function.
  const auto job = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("JOB", *job, "jobs/N or N")->required();
  command->callback([&cli, job, run = std::move(run)] {
    cli.action = [&cli, job, run] { return run(cli, *job); };
  });
}

}  // namespace lathe
