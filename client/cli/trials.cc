// `lathe trials`, `lathe frontier` and `lathe try`.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/report_figures.h"
#include "client/cli/trial_table.h"
#include "client/point_json.h"
#include "client/search_client.h"

namespace lathe {
namespace {

// What each measured trial added to the hypervolume; nothing before the
// baseline is measured.
std::map<int64_t, double> Gains(const std::vector<v1::Trial>& trials) {
  if (trials.empty() || !trials[0].has_measurement()) return {};
  return GainByTrial(trials, trials[0].measurement());
}

absl::Status Trials(const Cli& cli, const std::string& name) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(JobName(name)));
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         client.ListTrials(job.name()));
  if (!cli.is_json()) {
    PrintText(TrialsTable(trials));
    return absl::OkStatus();
  }
  const std::map<int64_t, double> gains = Gains(trials);
  for (const v1::Trial& trial : trials) {
    nlohmann::json object = TrialToJson(trial, &job.baseline().space());
    const auto gain = gains.find(trial.number());
    if (gain != gains.end()) object["gain"] = gain->second;
    PrintJson(object);
  }
  return absl::OkStatus();
}

absl::Status ShowFrontier(const Cli& cli, const std::string& name) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const v1::Frontier frontier,
                         SearchClient(channel).GetFrontier(JobName(name)));
  if (cli.is_json()) {
    PrintJson(FrontierToJson(frontier));
  } else {
    PrintText(FrontierTable(frontier));
    PrintText(absl::StrFormat("hypervolume %.4f\n", frontier.hypervolume()));
  }
  return absl::OkStatus();
}

struct TryFlags {
  std::string job;
  std::string plan;
};

absl::StatusOr<v1::CompressionPlan> ReadPlan(const std::string& text,
                                             const v1::SearchSpace& space) {
  if (absl::StartsWith(text, "uniform:")) return UniformPlan(text, space);
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(text));
  const absl::StatusOr<nlohmann::json> value = ParseJson(bytes);
  if (!value.ok()) return Annotate(value.status(), text);
  return PlanFromJson(*value, space);
}

absl::Status Try(const Cli& cli, const TryFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(JobName(flags.job)));
  if (!job.has_baseline()) {
    return absl::FailedPreconditionError(
        job.name() + " has no search space before its first trial is measured");
  }
  LATHE_ASSIGN_OR_RETURN(const v1::CompressionPlan plan,
                         ReadPlan(flags.plan, job.baseline().space()));
  LATHE_ASSIGN_OR_RETURN(const v1::Trial trial,
                         client.CreateTrial(job.name(), plan));
  if (cli.is_json()) {
    PrintJson(TrialToJson(trial, &job.baseline().space()));
  } else {
    PrintText(trial.name() + "\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddTrialCommands(CLI::App& app, Cli& cli) {
  AddNamedCommand(app, cli, "trials", "All trials of a job", &Trials);
  AddNamedCommand(app, cli, "frontier", "The trials that nothing dominates",
                  &ShowFrontier);
  const auto flags = std::make_shared<TryFlags>();
  CLI::App* command =
      app.add_subcommand("try", "Add a plan of your own to a running job");
  command->add_option("JOB", flags->job, "jobs/N or N")->required();
  command
      ->add_option("--plan", flags->plan,
                   "JSON file, or uniform:PRECISION[:BITS[:KEEP]]")
      ->required();
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Try(cli, *flags); };
  });
}

}  // namespace lathe
