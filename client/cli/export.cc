// `lathe export`: the model of a trial as a file.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/artifact.h"
#include "client/cli/bound_flags.h"
#include "client/cli/command.h"
#include "client/cli/quantity.h"
#include "client/point_json.h"
#include "client/search_client.h"

namespace lathe {
namespace {

struct ExportFlags {
  std::string job;
  std::optional<int64_t> trial;
  BoundFlags bounds;
  std::string path;
  std::string format = "qdq";
};

absl::Status CheckFlags(const ExportFlags& flags) {
  if (flags.trial.has_value() == flags.bounds.is_any_given()) {
    return absl::InvalidArgumentError(
        "name either --trial or bounds (--max-latency, --max-size, "
        "--min-accuracy)");
  }
  return absl::OkStatus();
}

ArtifactFormat ParseFormat(const std::string& name) {
  return name == "lathe" ? ArtifactFormat::kPacked : ArtifactFormat::kOnnx;
}

absl::StatusOr<int64_t> ChooseTrial(const SearchClient& client,
                                    const ExportFlags& flags) {
  if (flags.trial.has_value()) return *flags.trial;
  LATHE_ASSIGN_OR_RETURN(const v1::GetBestConfigurationRequest request,
                         MakeBestRequest(JobName(flags.job), flags.bounds));
  LATHE_ASSIGN_OR_RETURN(const v1::BestConfiguration best,
                         client.GetBestConfiguration(request));
  if (!best.has_trial()) return NothingMeetsBounds(best);
  return best.trial().number();
}

absl::Status Export(const Cli& cli, const ExportFlags& flags) {
  LATHE_RETURN_IF_ERROR(CheckFlags(flags));
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const int64_t number, ChooseTrial(client, flags));
  LATHE_ASSIGN_OR_RETURN(const v1::Trial trial,
                         client.GetTrial(JobName(flags.job), number));
  LATHE_ASSIGN_OR_RETURN(
      const int64_t written,
      WriteArtifact(channel, trial, ParseFormat(flags.format), flags.path));
  if (cli.is_json()) {
    nlohmann::json point = PointToJson(trial);
    point["path"] = flags.path;
    point["digest"] = trial.artifact_digest();
    point["bytes"] = written;
    PrintJson(point);
  } else {
    PrintText(absl::StrCat("trial ", number, " -> ", flags.path, " (",
                           FormatBytes(written), ")\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddExport(CLI::App& app, Cli& cli) {
  const auto flags = std::make_shared<ExportFlags>();
  CLI::App* command =
      app.add_subcommand("export", "Write the model of a trial to a file");
  command->add_option("JOB", flags->job, "jobs/N or N")->required();
  command->add_option("--trial", flags->trial, "number of the trial")
      ->check(CLI::NonNegativeNumber);
  AddBoundFlags(*command, flags->bounds);
  command->add_option("--to", flags->path, "file to write")->required();
  command
      ->add_option("--format", flags->format,
                   "qdq: an ONNX file; lathe: packed, for Lathe's own engine")
      ->check(CLI::IsMember({"qdq", "lathe"}))
      ->capture_default_str();
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Export(cli, *flags); };
  });
}

}  // namespace lathe
