// `lathe workers`, `drain`, `cordon`, `uncordon`, `check`, `gc`, `backup`,
// `version`.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/job_json.h"
#include "client/cli/quantity.h"
#include "client/cli/text_table.h"
#include "client/search_client.h"

namespace lathe {
namespace {

absl::Status Workers(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::WorkerInfo> workers,
                         AdminClient(channel).ListWorkers());
  TextTable table({"<WORKER", "<STATE", "<HOST", "PID", "CORES", "TRIALS",
                   "SILENT", "<CPU", "<ISA"});
  for (const v1::WorkerInfo& worker : workers) {
    if (cli.is_json()) PrintJson(WorkerToJson(worker));
    table.AddRow({worker.name(), worker.state(), worker.host(),
                  absl::StrCat(worker.pid()), absl::StrCat(worker.cores()),
                  absl::StrCat(worker.completed_trials()),
                  absl::StrFormat("%.1f s", worker.silent_seconds()),
                  worker.profile().cpu(), worker.profile().isa()});
  }
  if (!cli.is_json()) PrintText(table.Render());
  return absl::OkStatus();
}

std::string WorkerName(const std::string& text) {
  return absl::StartsWith(text, "workers/") ? text
                                            : absl::StrCat("workers/", text);
}

absl::Status Drain(const Cli& cli, const std::string& text) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const std::string name = WorkerName(text);
  LATHE_RETURN_IF_ERROR(AdminClient(channel).DrainWorker(name));
  if (cli.is_json()) PrintJson({{"worker", name}});
  return absl::OkStatus();
}

absl::Status SetCordoned(const Cli& cli, const std::string& text,
                         bool is_cordoned) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const std::string name = WorkerName(text);
  LATHE_RETURN_IF_ERROR(AdminClient(channel).CordonWorker(name, is_cordoned));
  if (cli.is_json()) {
    PrintJson({{"worker", name}, {"cordoned", is_cordoned}});
  }
  return absl::OkStatus();
}

absl::Status Cordon(const Cli& cli, const std::string& text) {
  return SetCordoned(cli, text, /*is_cordoned=*/true);
}

absl::Status Uncordon(const Cli& cli, const std::string& text) {
  return SetCordoned(cli, text, /*is_cordoned=*/false);
}

// What must hold in the server's state; what does not is the error.
absl::Status Check(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(
      const v1::CheckIntegrityResponse found,
      AdminClient(channel).CheckIntegrity(/*reads_blobs=*/true));
  nlohmann::json problems = nlohmann::json::array();
  std::string text;
  for (const std::string& problem : found.problems()) {
    problems.push_back(problem);
    absl::StrAppend(&text, "problem: ", Printable(problem), "\n");
  }
  if (cli.is_json()) {
    PrintJson({{"problems", problems},
               {"jobs", found.jobs()},
               {"trials", found.trials()},
               {"blobs", found.blobs()}});
  } else {
    PrintText(absl::StrCat(text, found.jobs(), " jobs, ", found.trials(),
                           " trials, ", found.blobs(),
                           " blobs: ", found.problems_size(), " problems\n"));
  }
  if (found.problems().empty()) return absl::OkStatus();
  return WithExitCode(absl::DataLossError("the server's state has problems"),
                      kExitFailed);
}

absl::Status CollectGarbage(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(
      const v1::CollectGarbageResponse removed,
      AdminClient(channel).CollectGarbage(/*is_dry_run=*/false));
  if (cli.is_json()) {
    PrintJson({{"blobs", removed.blobs()}, {"bytes", removed.bytes()}});
  } else {
    PrintText(absl::StrCat(removed.blobs(), " blobs, ",
                           FormatBytes(removed.bytes()), " removed\n"));
  }
  return absl::OkStatus();
}

absl::Status Backup(const Cli& cli, const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const int64_t bytes,
                         AdminClient(channel).Backup(path));
  if (cli.is_json()) {
    PrintJson({{"path", path}, {"bytes", bytes}});
  } else {
    PrintText(absl::StrCat(path, " (", FormatBytes(bytes),
                           ", on the server's machine)\n"));
  }
  return absl::OkStatus();
}

// The client's version; with a server named, the server's too.
absl::Status Version(const Cli& cli) {
  nlohmann::json object = {{"client", LATHE_VERSION}};
  if (!cli.server.empty()) {
    LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
    LATHE_ASSIGN_OR_RETURN(const v1::ServerInfo info,
                           AdminClient(channel).GetServerInfo());
    object["server"] = info.version();
    object["schema_version"] = info.schema_version();
    object["jobs"] = info.jobs();
    object["workers"] = info.workers();
    if (!cli.is_json()) {
      PrintText(absl::StrCat("lathe-server ", Printable(info.version()),
                             ", schema ", info.schema_version(), "\n"));
    }
  }
  if (cli.is_json()) {
    PrintJson(object);
  } else {
    PrintText(absl::StrCat("lathe ", LATHE_VERSION, "\n"));
  }
  return absl::OkStatus();
}

void AddWithArgument(CLI::App& app, Cli& cli, const char* name,
                     const char* text, const char* argument,
                     const char* argument_text,
                     absl::Status (*run)(const Cli&, const std::string&)) {
  const auto value = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option(argument, *value, argument_text)->required();
  command->callback([&cli, value, run] {
    cli.action = [&cli, value, run] { return run(cli, *value); };
  });
}

}  // namespace

void AddAdminCommands(CLI::App& app, Cli& cli) {
  app.add_subcommand("workers", "The server's workers")->callback([&cli] {
    cli.action = [&cli] { return Workers(cli); };
  });
  AddWithArgument(app, cli, "drain", "Let a worker end after what it runs",
                  "WORKER", "workers/N or N", &Drain);
  AddWithArgument(app, cli, "cordon", "Give a worker no more trials", "WORKER",
                  "workers/N or N", &Cordon);
  AddWithArgument(app, cli, "uncordon", "Give a worker trials again", "WORKER",
                  "workers/N or N", &Uncordon);
  app.add_subcommand("check", "Check the server's database and blobs")
      ->callback([&cli] { cli.action = [&cli] { return Check(cli); }; });
  app.add_subcommand("gc", "Remove blobs that no job needs")->callback([&cli] {
    cli.action = [&cli] { return CollectGarbage(cli); };
  });
  AddWithArgument(app, cli, "backup", "Copy the server's database, online",
                  "PATH", "new file on the server's machine", &Backup);
  app.add_subcommand("version", "Versions of client and server")
      ->callback([&cli] { cli.action = [&cli] { return Version(cli); }; });
}

}  // namespace lathe
