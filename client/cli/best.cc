// `lathe best`: the most accurate configuration within bounds.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/status.h"
#include "client/cli/bound_flags.h"
#include "client/cli/command.h"
#include "client/cli/trial_table.h"
#include "client/point_json.h"
#include "client/search_client.h"

namespace lathe {
namespace {

struct BestFlags {
  std::string job;
  BoundFlags bounds;
};

nlohmann::json MissesToJson(const v1::BestConfiguration& best) {
  nlohmann::json misses = nlohmann::json::array();
  for (const v1::NearMiss& miss : best.near_misses()) {
    nlohmann::json point = PointToJson(miss.trial());
    point["why_not"] = miss.why_not();
    misses.push_back(std::move(point));
  }
  return misses;
}

absl::Status Best(const Cli& cli, const BestFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const v1::GetBestConfigurationRequest request,
                         MakeBestRequest(JobName(flags.job), flags.bounds));
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::BestConfiguration best,
                         client.GetBestConfiguration(request));
  if (!best.has_trial()) {
    if (cli.is_json()) PrintJson({{"near_misses", MissesToJson(best)}});
    return NothingMeetsBounds(best);
  }
  if (cli.is_json()) {
    PrintJson(PointToJson(best.trial()));
    return absl::OkStatus();
  }
  LATHE_ASSIGN_OR_RETURN(const v1::Trial baseline,
                         client.GetTrial(request.name(), /*number=*/0));
  PrintText(DescribePoint(best.trial(), baseline.measurement()) + "\n");
  return absl::OkStatus();
}

}  // namespace

void AddBest(CLI::App& app, Cli& cli) {
  const auto flags = std::make_shared<BestFlags>();
  CLI::App* command =
      app.add_subcommand("best", "The most accurate trial within bounds");
  command->add_option("JOB", flags->job, "jobs/N or N")->required();
  AddBoundFlags(*command, flags->bounds);
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Best(cli, *flags); };
  });
}

}  // namespace lathe
