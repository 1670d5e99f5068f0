// lathe-bench: plays an agent on an enumerated search space, without an
// engine.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "agent/agent.h"
#include "base/numeric.h"
#include "base/status.h"
#include "experiments/tables/table.h"
#include "experiments/tables/table_game.h"

namespace lathe {
namespace {

struct BenchFlags {
  std::string table;
  GameOptions game;
  int64_t seeds = 20;
  uint64_t first_seed = 0;
  // Played before, in this order, by the same agent with other seeds.
  std::vector<std::string> pretrained_on;
  std::string output = "text";
};

void Add(const UnaskedAnswers& from, UnaskedAnswers* to) {
  to->asked += from.asked;
  to->unanswered += from.unanswered;
  to->exceeded += from.exceeded;
  to->losses.insert(to->losses.end(), from.losses.begin(), from.losses.end());
}

nlohmann::json ToJson(const UnaskedAnswers& unasked) {
  double sum = 0;
  for (const double loss : unasked.losses) sum += loss;
  const std::vector<double>& losses = unasked.losses;
  return {{"asked", unasked.asked},
          {"losses", "all budgets"},
          {"unanswered", unasked.unanswered},
          {"exceeded", unasked.exceeded},
          {"mean_loss",
           losses.empty() ? 0 : sum / static_cast<double>(losses.size())},
          {"loss_p95", losses.empty() ? 0 : Quantile(losses, 0.95)}};
}

// What an agent has learned on the tables that it is pre-trained on.
absl::StatusOr<std::string> Pretrain(
    const std::vector<ConfigurationTable>& tables, GameOptions game) {
  // Far from the seeds of any study.
  constexpr uint64_t kOtherSeeds = 1'000'000;
  game.seed += kOtherSeeds;
  game.unasked_budgets = 0;
  for (const ConfigurationTable& table : tables) {
    LATHE_ASSIGN_OR_RETURN(GameResult result, PlayOnTable(table, game));
    game.experience = std::move(result.experience);
  }
  return game.experience;
}

absl::StatusOr<nlohmann::json> Play(const BenchFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const ConfigurationTable table,
                         ReadTable(flags.table));
  std::vector<ConfigurationTable> pretrained_on;
  for (const std::string& path : flags.pretrained_on) {
    LATHE_ASSIGN_OR_RETURN(pretrained_on.emplace_back(), ReadTable(path));
  }
  GameOptions game = flags.game;
  nlohmann::json to_095 = nlohmann::json::array();
  nlohmann::json by_latency = nlohmann::json::array();
  nlohmann::json ratios = nlohmann::json::array();
  nlohmann::json shares = nlohmann::json::object();
  double seconds = 0;
  int64_t evaluations = 0;
  UnaskedAnswers unasked;
  for (int64_t i = 0; i < flags.seeds; ++i) {
    game.seed = flags.first_seed + static_cast<uint64_t>(i);
    game.experience.clear();
    LATHE_ASSIGN_OR_RETURN(game.experience, Pretrain(pretrained_on, game));
    LATHE_ASSIGN_OR_RETURN(const GameResult result, PlayOnTable(table, game));
    to_095.push_back(result.evaluations_to_095
                         ? nlohmann::json(*result.evaluations_to_095)
                         : nlohmann::json());
    by_latency.push_back(result.quality_by_latency);
    ratios.push_back(result.hypervolume_ratios);
    seconds += result.seconds;
    evaluations += result.evaluations;
    Add(result.unasked, &unasked);
    for (const auto& [source, looks] : result.looks) {
      nlohmann::json& share = shares[source];
      if (share.is_null()) share = {{"evaluations", 0.0}, {"gain", 0.0}};
      share["evaluations"] = share["evaluations"].get<double>() +
                             static_cast<double>(looks) / flags.seeds;
      share["gain"] =
          share["gain"].get<double>() + result.gains.at(source) / flags.seeds;
    }
  }
  nlohmann::json played = {
      {"agent", game.agent},
      {"table", flags.table},
      {"checkpoints", game.checkpoints},
      {"hypervolume_ratio", ratios},
      {"seconds_per_evaluation", seconds / static_cast<double>(evaluations)},
      {"evaluations_to_0.95", to_095},
      {"quality_by_latency", by_latency},
      {"sources", shares}};
  if (game.is_seeded) played["seeded"] = true;
  if (!flags.pretrained_on.empty()) {
    played["pretrained_on"] = flags.pretrained_on;
  }
  if (!game.without.empty()) played["without"] = game.without;
  if (game.is_accuracy_objective) played["objective"] = "accuracy";
  if (unasked.asked > 0) played["unasked"] = ToJson(unasked);
  return played;
}

std::string ResultText(const nlohmann::json& result) {
  const auto& checkpoints = result["checkpoints"];
  const auto& ratios = result["hypervolume_ratio"];
  std::string text = absl::StrFormat(
      "%s on %s, %d seeds, mean hypervolume over the exhaustive one\n",
      result["agent"].get<std::string>(), result["table"].get<std::string>(),
      ratios.size());
  for (size_t c = 0; c < checkpoints.size(); ++c) {
    double sum = 0;
    for (const auto& seed : ratios) sum += seed[c].get<double>();
    absl::StrAppendFormat(&text, "%8d evaluations  %.4f\n",
                          checkpoints[c].get<int64_t>(), sum / ratios.size());
  }
  absl::StrAppendFormat(&text, "%.2f ms per evaluation\n",
                        1e3 * result["seconds_per_evaluation"].get<double>());
  for (const auto& [source, share] : result["sources"].items()) {
    absl::StrAppendFormat(&text, "%8.1f evaluations, gain %.4f  %s\n",
                          share["evaluations"].get<double>(),
                          share["gain"].get<double>(), source);
  }
  if (result.contains("unasked")) {
    absl::StrAppendFormat(&text, "budgets nobody asked for: %s\n",
                          result["unasked"].dump());
  }
  return text;
}

// The checkpoints up to `evaluations`, and that.
std::vector<int64_t> Checkpoints(int64_t evaluations) {
  std::vector<int64_t> checkpoints;
  for (const int64_t checkpoint : GameOptions().checkpoints) {
    if (checkpoint < evaluations) checkpoints.push_back(checkpoint);
  }
  checkpoints.push_back(evaluations);
  return checkpoints;
}

int Run(int argc, char** argv) {
  CLI::App app("Plays an agent on an enumerated search space.");
  BenchFlags flags;
  app.add_option("--table", flags.table, "the table, an .npz")->required();
  app.add_option("--agent", flags.game.agent, "the agent")
      ->check(CLI::IsMember(AgentNames()))
      ->required();
  app.add_option("--evaluations", flags.game.evaluations,
                 "first looks at entries")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}))
      ->capture_default_str();
  app.add_option("--seeds", flags.seeds, "how many seeds")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  app.add_option("--seed-from", flags.first_seed, "the first seed")
      ->capture_default_str();
  app.add_option(
         "--without", flags.game.without,
         "parts of rl to go without: seeds, policy, resampling, solver, "
         "children, "
         "relabelling, rollouts, surrogate, masks")
      ->delimiter(',');
  app.add_flag("--seeded", flags.game.is_seeded,
               "begin with the default agent's seeds");
  app.add_option("--pretrain", flags.pretrained_on,
                 "tables that the same agent plays first, with other seeds; "
                 "what it learns there it begins with here");
  app.add_flag("--accuracy-objective", flags.game.is_accuracy_objective,
               "the agent sees accuracies of a finite sample in place of "
               "divergences");
  app.add_option("--unasked", flags.game.unasked_budgets,
                 "budgets to answer for after the last evaluation")
      ->check(CLI::Range(int64_t{0}, int64_t{10000}));
  app.add_option("-o,--output", flags.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    constexpr int kUsage = 2;
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  flags.game.checkpoints = Checkpoints(flags.game.evaluations);
  const absl::StatusOr<nlohmann::json> result = Play(flags);
  if (!result.ok()) {
    std::cerr << "lathe-bench: " << result.status().message() << "\n";
    constexpr int kNotFound = 3;
    constexpr int kFailed = 6;
    return absl::IsNotFound(result.status()) ? kNotFound : kFailed;
  }
  std::cout << (flags.output == "json" ? result->dump() + "\n"
                                       : ResultText(*result));
  return 0;
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Run(argc, argv); }
