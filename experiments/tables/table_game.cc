#include "experiments/tables/table_game.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/rl_parts.h"
#include "agent/seeded_agent.h"
#include "base/numeric.h"
#include "base/status.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// What a latency ratio of 1 is; ratios are all that a table knows.
constexpr double kBaselineUs = 1000;

v1::Precision PrecisionOf(int bits) {
  if (bits == 32) return v1::F32;
  return bits == 16 ? v1::BF16 : v1::INT8;
}

v1::Layer MakeLayer(const TableDecision& decision, int index) {
  v1::Layer layer;
  layer.set_name(absl::StrCat("decision_", index));
  layer.set_kind(decision.out_pixels > 1 ? "conv" : "linear");
  layer.set_in_channels(decision.in_channels);
  layer.set_out_channels(decision.out_channels);
  layer.set_kernel_height(decision.kernel);
  layer.set_kernel_width(decision.kernel);
  layer.set_stride(1);
  layer.set_out_pixels(decision.out_pixels);
  layer.set_in_pixels(decision.out_pixels);
  layer.set_macs(decision.macs);
  layer.set_parameters(decision.macs /
                       std::max<int64_t>(1, decision.out_pixels));
  const std::set<int, std::greater<int>> bits(decision.bits.begin(),
                                              decision.bits.end());
  for (const int width : bits) {
    v1::PrecisionOption* option = layer.add_precisions();
    option->set_precision(PrecisionOf(width));
    option->set_weight_bits(width);
  }
  const std::set<double, std::greater<double>> keeps(decision.keep.begin(),
                                                     decision.keep.end());
  for (const double keep : keeps) layer.add_keep_ratios(keep);
  layer.set_group(index);
  if (index > 0) layer.add_input_groups(index - 1);
  return layer;
}

}  // namespace

absl::StatusOr<TableSpace> TableSpace::Make(const ConfigurationTable* table) {
  TableSpace space(table);
  for (const TableDecision& decision : table->decisions) {
    const v1::Layer layer = MakeLayer(decision, space.space_.layers_size());
    space.baseline_bytes_ += static_cast<double>(layer.parameters()) *
                             layer.precisions(0).weight_bits() / 8;
    *space.space_.add_layers() = layer;
  }
  const std::optional<int64_t> uncompressed =
      space.EntryOf(BaselinePlan(space.space_));
  if (!uncompressed) {
    return absl::InvalidArgumentError(
        "a decision has no choice that has the most bits and keeps all "
        "channels: the table says nothing of the uncompressed network");
  }
  space.uncompressed_ = *uncompressed;
  return space;
}

std::optional<int64_t> TableSpace::EntryOf(
    const v1::CompressionPlan& plan) const {
  std::vector<int> choices;
  for (int d = 0; d < plan.layers_size(); ++d) {
    const TableDecision& decision = table_->decisions[d];
    const v1::LayerChoice& wanted = plan.layers(d);
    for (size_t c = 0; c < decision.bits.size(); ++c) {
      if (decision.bits[c] == wanted.weight_bits() &&
          decision.keep[c] == wanted.keep_ratio()) {
        choices.push_back(static_cast<int>(c));
        break;
      }
    }
    if (static_cast<int>(choices.size()) != d + 1) return std::nullopt;
  }
  return table_->IndexOf(choices);
}

v1::Measurement TableSpace::MeasurementOf(int64_t entry) const {
  v1::Measurement measurement;
  measurement.set_metric("quality");
  // The objective stands where the accuracy does: agents maximise that.
  measurement.set_accuracy(table_->quality[entry]);
  measurement.set_kl_divergence(std::max(
      0.0f,
      table_->kl_divergence[entry] - table_->kl_divergence[uncompressed_]));
  measurement.set_latency_us(kBaselineUs * table_->latency_ratio[entry]);
  measurement.set_latency_ratio(table_->latency_ratio[entry] /
                                table_->latency_ratio[uncompressed_]);
  measurement.set_size_bytes(
      std::llround(baseline_bytes_ * table_->size_ratio[entry]));
  measurement.set_packed_bytes(measurement.size_bytes());
  return measurement;
}

AgentContext TableSpace::Context(const GameOptions& options) const {
  AgentContext context;
  context.space = space_;
  context.baseline = MeasurementOf(uncompressed_);
  context.objectives = {"latency", "size"};
  context.least_accuracy_ratio =
      table_->quality_reference / table_->quality[uncompressed_];
  context.seed = options.seed;
  context.experience = options.experience;
  context.trials = options.evaluations;
  return context;
}

namespace {

class Game {
 public:
  Game(const ConfigurationTable& table, const TableSpace& space,
       const GameOptions& options)
      : options_(options), space_(space), hypervolume_(&table) {
    Look(space.uncompressed(), "baseline");
  }

  absl::Status Play(Agent* agent) {
    // An agent may ask again for entries that it has seen; not forever.
    const int64_t most_proposals = 20 * options_.evaluations;
    for (int64_t number = 1;
         number < most_proposals && result_.evaluations < options_.evaluations;
         ++number) {
      const absl::StatusOr<v1::Proposal> proposal = agent->Propose();
      if (absl::IsOutOfRange(proposal.status())) return absl::OkStatus();
      LATHE_RETURN_IF_ERROR(proposal.status());
      agent->Learn(Evaluate(*proposal, number));
    }
    return absl::OkStatus();
  }

  // Budgets between the least and the most of both axes, drawn from the seed.
  void AskUnasked(const Agent& agent) {
    const ConfigurationTable& table = space_.table();
    std::mt19937_64 random(MixSeed(options_.seed, 99));
    const auto draw = [&random](const std::vector<double>& axis) {
      const double u = static_cast<double>(random() >> 11) * 0x1.0p-53;
      return axis.front() + u * (axis.back() - axis.front());
    };
    for (int64_t i = 0; i < options_.unasked_budgets; ++i) {
      const double latency = draw(table.latency_budgets);
      const double size = draw(table.size_budgets);
      Answer(agent, latency, size);
    }
  }

  GameResult Finish() {
    while (result_.hypervolume_ratios.size() < options_.checkpoints.size()) {
      result_.hypervolume_ratios.push_back(hypervolume_.Ratio());
    }
    const ConfigurationTable& table = space_.table();
    for (const double latency : table.latency_budgets) {
      double best = table.quality_reference;
      for (const int64_t entry : seen_) {
        if (table.latency_ratio[entry] > latency) continue;
        best = std::max<double>(best, table.quality[entry]);
      }
      result_.quality_by_latency.push_back(best);
    }
    return std::move(result_);
  }

 private:
  void Answer(const Agent& agent, double latency, double size) {
    const ConfigurationTable& table = space_.table();
    double best = table.quality_reference;
    for (int64_t e = 0; e < table.ConfigurationCount(); ++e) {
      if (table.latency_ratio[e] <= latency && table.size_ratio[e] <= size) {
        best = std::max<double>(best, table.quality[e]);
      }
    }
    // Nothing in the table is worth having there.
    if (best <= table.quality_reference) return;
    UnaskedAnswers& unasked = result_.unasked;
    ++unasked.asked;
    v1::Budget budget;
    const int64_t whole = space_.uncompressed();
    budget.set_max_latency_ratio(latency / table.latency_ratio[whole]);
    budget.set_max_size_ratio(size / table.size_ratio[whole]);
    const auto answer = agent.Answer(budget);
    const std::optional<int64_t> entry =
        answer.ok() ? space_.EntryOf(answer->plan()) : std::nullopt;
    // No answer, and one that does not keep its budget, is worth nothing.
    double found = table.quality_reference;
    if (!entry) {
      ++unasked.unanswered;
    } else if (table.latency_ratio[*entry] > latency ||
               table.size_ratio[*entry] > size) {
      ++unasked.exceeded;
    } else {
      found = std::max<double>(found, table.quality[*entry]);
    }
    unasked.losses.push_back((best - found) /
                             (table.quality[whole] - table.quality_reference));
  }

  v1::Trial Evaluate(const v1::Proposal& proposal, int64_t number) {
    v1::Trial trial;
    trial.set_number(number);
    trial.set_name(absl::StrCat("jobs/0/trials/", number));
    *trial.mutable_proposal() = proposal;
    const std::optional<int64_t> entry = space_.EntryOf(proposal.plan());
    if (!entry) {
      trial.set_state(v1::TRIAL_INFEASIBLE);
      return trial;
    }
    Look(*entry, proposal.source());
    trial.set_state(v1::TRIAL_MEASURED);
    *trial.mutable_measurement() = space_.MeasurementOf(*entry);
    if (options_.is_accuracy_objective) {
      // What a finite sample says of how far the answers are off.
      const double ratio = space_.table().accuracy[*entry] /
                           space_.table().accuracy[space_.uncompressed()];
      constexpr double kLeastRatio = 1e-3;
      trial.mutable_measurement()->set_kl_divergence(
          std::max(0.0, -std::log(std::max(kLeastRatio, ratio))));
    }
    return trial;
  }

  void Look(int64_t entry, const std::string& source) {
    if (!seen_.insert(entry).second) return;
    const double before = hypervolume_.Ratio();
    hypervolume_.Add(entry);
    ++result_.evaluations;
    ++result_.looks[source];
    result_.gains[source] += hypervolume_.Ratio() - before;
    constexpr double kAimedAt = 0.95;
    if (!result_.evaluations_to_095 && hypervolume_.Ratio() >= kAimedAt) {
      result_.evaluations_to_095 = result_.evaluations;
    }
    const size_t next = result_.hypervolume_ratios.size();
    if (next < options_.checkpoints.size() &&
        options_.checkpoints[next] == result_.evaluations) {
      result_.hypervolume_ratios.push_back(hypervolume_.Ratio());
    }
  }

  const GameOptions& options_;
  const TableSpace& space_;
  TableHypervolume hypervolume_;
  std::set<int64_t> seen_;
  GameResult result_;
};

absl::StatusOr<std::unique_ptr<Agent>> MakeAgentFor(
    const TableSpace& space, const GameOptions& options) {
  if (options.without.empty()) {
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Agent> agent,
                           MakeAgent(options.agent, space.Context(options)));
    return options.is_seeded
               ? MakeSeeded(space.Context(options), std::move(agent))
               : std::move(agent);
  }
  if (options.agent != "rl") {
    return absl::InvalidArgumentError(
        absl::StrCat("agent = '", options.agent,
                     "' has no parts to go without; only rl has"));
  }
  RlParts parts;
  for (const std::string& part : options.without) {
    LATHE_RETURN_IF_ERROR(SwitchOff(part, &parts));
  }
  return MakeRlAgentOf(space.Context(options), parts);
}

}  // namespace

absl::StatusOr<GameResult> PlayOnTable(const ConfigurationTable& table,
                                       const GameOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const TableSpace space, TableSpace::Make(&table));
  const auto start = std::chrono::steady_clock::now();
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent,
                         MakeAgentFor(space, options));
  Game game(table, space, options);
  LATHE_RETURN_IF_ERROR(game.Play(agent.get()));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  game.AskUnasked(*agent);
  GameResult result = game.Finish();
  result.experience = agent->Experience();
  result.seconds = seconds;
  return result;
}

}  // namespace lathe
