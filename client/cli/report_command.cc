// `lathe report`: a job as one HTML page.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/report.h"
#include "client/search_client.h"

namespace lathe {
namespace {

struct ReportFlags {
  std::string job;
  std::string path = "report.html";
};

absl::Status Report(const Cli& cli, const ReportFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(
      const ReportInput input,
      FetchReportInput(SearchClient(channel), JobName(flags.job)));
  LATHE_RETURN_IF_ERROR(
      WriteFileAtomically(flags.path, RenderReport(input, ChartLibrary())));
  if (cli.is_json()) {
    PrintJson({{"path", flags.path}});
  } else {
    PrintText(flags.path + "\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddReport(CLI::App& app, Cli& cli) {
  const auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = app.add_subcommand("report", "A job as one HTML page");
  command->add_option("JOB", flags->job, "jobs/N or N")->required();
  command->add_option("--to", flags->path, "file to write")
      ->capture_default_str();
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Report(cli, *flags); };
  });
}

}  // namespace lathe
