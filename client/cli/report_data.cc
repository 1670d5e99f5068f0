#include "client/cli/report_data.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "client/cli/report_figures.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using nlohmann::json;

json PointOf(const v1::Trial& trial) {
  return {{"n", trial.number()},
          {"x", trial.measurement().latency_ratio()},
          {"y", 100 * trial.measurement().accuracy()},
          {"s", trial.proposal().source()}};
}

void AddTrials(const ReportInput& input, json& data) {
  json trials = json::array();
  json rewards = json::array();
  for (const v1::Trial& trial : input.trials) {
    if (IsMeasuredWhole(trial)) trials.push_back(PointOf(trial));
    if (trial.has_reward()) {
      rewards.push_back(
          {{"n", trial.number()}, {"reward", trial.reward().value()}});
    }
  }
  data["trials"] = std::move(trials);
  data["rewards"] = std::move(rewards);
}

void AddFrontier(const ReportInput& input, json& data) {
  json frontier = json::array();
  json splits = json::array();
  for (const v1::Trial& trial : input.frontier.trials()) {
    frontier.push_back(PointOf(trial));
    const v1::Measurement& m = trial.measurement();
    if (m.report_samples() == 0) continue;
    splits.push_back({{"n", trial.number()},
                      {"search", 100 * m.accuracy()},
                      {"report", 100 * m.report_accuracy()}});
  }
  data["frontier"] = std::move(frontier);
  data["splits"] = std::move(splits);
  data["baseline"] = PointOf(input.frontier.baseline());
  data["chosen"] = PointOf(input.choice.trial);
}

void AddProposers(const ReportInput& input, json& data) {
  const std::map<std::string, ProposerShare> shares =
      ProposerShares(input.trials, input.frontier);
  std::set<std::string> names;
  json proposers = json::array();
  for (const auto& [source, share] : shares) {
    proposers.push_back({{"source", source},
                         {"trials", share.trials},
                         {"on_frontier", share.on_frontier}});
    for (const auto& [name, value] : share.mean_components) names.insert(name);
  }
  json components = json::object();
  for (const std::string& name : names) {
    json means = json::array();
    for (const auto& [source, share] : shares) {
      const auto it = share.mean_components.find(name);
      means.push_back(it == share.mean_components.end() ? 0 : it->second);
    }
    components[name] = std::move(means);
  }
  data["proposers"] = std::move(proposers);
  data["components"] = std::move(components);
}

}  // namespace

json ReportData(const ReportInput& input) {
  json data = json::object();
  AddTrials(input, data);
  AddFrontier(input, data);
  AddProposers(input, data);
  json progress = json::array();
  for (const CurvePoint& point : HypervolumeOverTrials(
           input.trials, input.frontier.baseline().measurement())) {
    progress.push_back(
        {{"n", point.trial}, {"hypervolume", point.hypervolume}});
  }
  data["progress"] = std::move(progress);
  return data;
}

}  // namespace lathe
