#include "client/cli/search_outputs.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

// How each measured trial came about, what it cost and what it gained.
nlohmann::json Rounds(const ReportInput& input) {
  const std::map<int64_t, double> gains =
      GainByTrial(input.trials, input.frontier.baseline().measurement());
  nlohmann::json rounds = nlohmann::json::array();
  for (const v1::Trial& trial : input.trials) {
    const auto gain = gains.find(trial.number());
    if (gain == gains.end()) continue;
    rounds.push_back(
        {{"trial", trial.number()},
         {"source", trial.proposal().source()},
         {"thinking_seconds", trial.proposal().thinking_seconds()},
         {"evaluation_seconds", trial.measurement().evaluation_seconds()},
         {"gain", gain->second}});
  }
  return rounds;
}

}  // namespace

nlohmann::json SearchResult(const ReportInput& input, double seconds) {
  nlohmann::json result = FrontierToJson(input.frontier);
  result["job"] = input.job.name();
  result["trials"] = DoneTrials(input.job.counts());
  result["seconds"] = seconds;
  result["best"] = PointToJson(input.choice.trial);
  result["best_reason"] = input.choice.why;
  result["is_within_budget"] = input.choice.is_within_budget;
  result["optimism"] = Optimism(input.frontier);
  result["thinking_ratio"] = ThinkingRatio(input.trials);
  nlohmann::json gains = nlohmann::json::object();
  for (const auto& [source, share] :
       ProposerShares(input.trials, input.frontier)) {
    gains[source] = share.gain_ratio;
  }
  result["gain_ratios"] = std::move(gains);
  result["rounds"] = Rounds(input);
  return result;
}

absl::Status WriteSearchOutputs(const std::shared_ptr<grpc::Channel>& channel,
                                const ReportInput& input, double seconds,
                                const std::string& out) {
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      out + "/frontier.json", DumpJson(SearchResult(input, seconds)) + "\n"));
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      out + "/report.html", RenderReport(input, ChartLibrary())));
  return WriteArtifact(channel, input.choice.trial, ArtifactFormat::kOnnx,
                       out + "/best.onnx")
      .status();
}

namespace {

// "rl/seed 71 %, rl/child 29 %", the largest first.
std::string GainText(const ReportInput& input) {
  std::vector<std::pair<double, std::string>> gains;
  for (const auto& [source, share] :
       ProposerShares(input.trials, input.frontier)) {
    if (share.gain_ratio > 0) gains.emplace_back(-share.gain_ratio, source);
  }
  std::sort(gains.begin(), gains.end());
  std::string text;
  for (const auto& [negated, source] : gains) {
    absl::StrAppendFormat(&text, "%s%s %.0f %%", text.empty() ? "" : ", ",
                          source, -100 * negated);
  }
  return text;
}

}  // namespace

std::string DescribeSearch(const ReportInput& input, double seconds,
                           const std::string& out) {
  return absl::StrCat(
      FrontierTable(input.frontier), "\n",
      absl::StrFormat("hypervolume %.4f, %d trials in %s\n",
                      input.frontier.hypervolume(),
                      DoneTrials(input.job.counts()), FormatSeconds(seconds)),
      "gained by: ", GainText(input),
      absl::StrFormat("; the agent thought %.1f %% of what evaluations took\n",
                      100 * ThinkingRatio(input.trials)),
      input.choice.why, ":\n  ",
      DescribePoint(input.choice.trial,
                    input.frontier.baseline().measurement()),
      "\nwritten: ", out, "/frontier.json, report.html, best.onnx\n");
}

}  // namespace lathe
