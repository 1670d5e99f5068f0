// `lathe list`, `show`, `pause`, `resume`, `cancel`, `delete`.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/job_json.h"
#include "client/cli/quantity.h"
#include "client/cli/search_progress.h"
#include "client/cli/text_table.h"
#include "client/search_client.h"
#include "proto/names.h"

namespace lathe {
namespace {

absl::Status List(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs,
                         SearchClient(channel).ListJobs());
  TextTable table({"<JOB", "<STATE", "TRIALS", "<AGENT", "<NAME"});
  for (const v1::Job& job : jobs) {
    if (cli.is_json()) PrintJson(JobToJson(job));
    table.AddRow(
        {job.name(), std::string(JobStateName(job.state())),
         absl::StrCat(DoneTrials(job.counts()), "/", job.spec().trials()),
         job.spec().agent(), job.spec().display_name()});
  }
  if (!cli.is_json()) PrintText(table.Render());
  return absl::OkStatus();
}

std::string DescribeJob(const v1::Job& job) {
  const v1::TrialCounts& counts = job.counts();
  TextTable table({"<job", absl::StrCat("<", job.name())});
  table.AddRow({"name", job.spec().display_name()});
  table.AddRow({"state", absl::StrCat(JobStateName(job.state()),
                                      job.state_reason().empty() ? "" : ": ",
                                      job.state_reason())});
  table.AddRow({"agent", absl::StrCat(job.spec().agent(), ", seed ",
                                      job.spec().seed())});
  table.AddRow({"trials",
                absl::StrCat(DoneTrials(counts), " of ", job.spec().trials())});
  table.AddRow(
      {"", absl::StrCat(counts.pending(), " pending, ", counts.leased(),
                        " leased, ", counts.measured(), " measured")});
  table.AddRow(
      {"", absl::StrCat(counts.infeasible(), " infeasible, ", counts.failed(),
                        " failed, ", counts.quarantined(), " quarantined")});
  if (job.has_profile()) {
    table.AddRow({"profile",
                  absl::StrCat(job.profile().cpu(), ", ", job.profile().isa(),
                               ", ", job.profile().threads(),
                               " thread(s), oneDNN ", job.profile().onednn())});
  }
  return table.Render();
}

absl::Status PrintJob(const Cli& cli, const v1::Job& job) {
  if (cli.is_json()) {
    PrintJson(JobToJson(job));
  } else {
    PrintText(DescribeJob(job));
  }
  return absl::OkStatus();
}

using JobMethod =
    absl::StatusOr<v1::Job> (SearchClient::*)(absl::string_view) const;

absl::Status CallOnJob(const Cli& cli, JobMethod method,
                       const std::string& job) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::Job changed, (client.*method)(JobName(job)));
  return PrintJob(cli, changed);
}

absl::Status Delete(const Cli& cli, const std::string& job) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_RETURN_IF_ERROR(SearchClient(channel).DeleteJob(JobName(job)));
  if (cli.is_json()) PrintJson({{"job", JobName(job)}});
  return absl::OkStatus();
}

}  // namespace

void AddJobCommands(CLI::App& app, Cli& cli) {
  app.add_subcommand("list", "All jobs, newest first")->callback([&cli] {
    cli.action = [&cli] { return List(cli); };
  });
  const struct {
    const char* name;
    const char* text;
    JobMethod method;
  } commands[] = {
      {"show", "State and counts of a job", &SearchClient::GetJob},
      {"pause", "Lease no new trials of a job", &SearchClient::PauseJob},
      {"resume", "Go on with a paused job", &SearchClient::ResumeJob},
      {"cancel", "End a job; its running trials stop",
       &SearchClient::CancelJob},
  };
  for (const auto& command : commands) {
    AddNamedCommand(
        app, cli, command.name, command.text,
        [method = command.method](const Cli& cli, const std::string& job) {
          return CallOnJob(cli, method, job);
        });
  }
  AddNamedCommand(app, cli, "delete", "Remove a job that has ended", &Delete);
}

}  // namespace lathe
