#include "client/cli/search_outputs.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "client/cli/artifact.h"
#include "client/cli/quantity.h"
#include "client/cli/report_figures.h"
#include "client/cli/search_progress.h"
#include "client/cli/trial_table.h"
#include "client/point_json.h"

namespace lathe {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(100);

bool HasAllArtifacts(const v1::Frontier& frontier) {
  return std::all_of(
      frontier.trials().begin(), frontier.trials().end(),
      [](const v1::Trial& trial) { return !trial.artifact_digest().empty(); });
}

}  // namespace

absl::Status AwaitFrontierArtifacts(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& job_name,
    absl::Duration patience) {
  const SearchClient client(channel);
  const absl::Time give_up = absl::Now() + patience;
  while (true) {
    LATHE_ASSIGN_OR_RETURN(const v1::Frontier frontier,
                           client.GetFrontier(job_name));
    if (HasAllArtifacts(frontier) || absl::Now() >= give_up) {
      return absl::OkStatus();
    }
    absl::SleepFor(kPollInterval);
  }
}

nlohmann::json SearchResult(const ReportInput& input, double seconds) {
  nlohmann::json result = FrontierToJson(input.frontier);
  result["job"] = input.job.name();
  result["trials"] = DoneTrials(input.job.counts());
  result["seconds"] = seconds;
  result["best"] = PointToJson(input.choice.trial);
  result["best_reason"] = input.choice.why;
  result["is_within_budget"] = input.choice.is_within_budget;
  result["optimism"] = Optimism(input.frontier);
  return result;
}

absl::Status WriteSearchOutputs(const std::shared_ptr<grpc::Channel>& channel,
                                const ReportInput& input, double seconds,
                                const std::string& out) {
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      out + "/frontier.json", DumpJson(SearchResult(input, seconds)) + "\n"));
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      out + "/report.html", RenderReport(input, ChartLibrary())));
  LATHE_ASSIGN_OR_RETURN(
      const v1::Trial trial,
      AwaitArtifact(channel, input.job.name(), input.choice.trial.number(),
                    /*patience=*/absl::ZeroDuration()));
  return WriteArtifact(channel, trial, ArtifactFormat::kOnnx,
                       out + "/best.onnx")
      .status();
}

std::string DescribeSearch(const ReportInput& input, double seconds,
                           const std::string& out) {
  return absl::StrCat(
      FrontierTable(input.frontier), "\n",
      absl::StrFormat("hypervolume %.4f, %d trials in %s\n",
                      input.frontier.hypervolume(),
                      DoneTrials(input.job.counts()), FormatSeconds(seconds)),
      input.choice.why, ":\n  ",
      DescribePoint(input.choice.trial,
                    input.frontier.baseline().measurement()),
      "\nwritten: ", out, "/frontier.json, report.html, best.onnx\n");
}

}  // namespace lathe
