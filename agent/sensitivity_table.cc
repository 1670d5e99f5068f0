#include "agent/sensitivity_table.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace lathe {
namespace {

// A saving below this share of the baseline is within the noise of any
// measurement.
constexpr double kLeastSaving = 1e-3;

// How soon a change is worth a trial: 0 for the first of its decision.
int RoundOf(const DecisionSpace& space, const Decision& decision, int choice) {
  if (!decision.is_keep) {
    const v1::PrecisionOption& option = space.option(decision.layer, choice);
    const bool is_int8 = option.precision() == v1::INT8 ||
                         option.precision() == v1::INT8_DYNAMIC;
    if (!is_int8) return 1;
    return option.weight_bits() == 8 ? 0 : 2;
  }
  const std::vector<double>& ratios =
      space.groups()[decision.group].keep_ratios;
  int half = 0;
  for (size_t c = 1; c < ratios.size(); ++c) {
    if (std::abs(ratios[c] - 0.5) < std::abs(ratios[half] - 0.5) || half == 0) {
      half = static_cast<int>(c);
    }
  }
  if (choice == half) return 0;
  const bool is_last = choice + 1 == decision.count;
  return is_last || choice == half / 2 ? 1 : 2;
}

}  // namespace

double PredictedCost(const SearchCore& core, const Choices& choices) {
  double cost = 0;
  const RelativeBudget& budget = core.objective().budget();
  if (core.objective().has_latency() || budget.latency_ratio.has_value()) {
    cost += core.PredictedLatencyRatio(choices);
  }
  if (core.objective().has_size() || budget.size_ratio.has_value()) {
    cost += core.PredictedSizeRatio(choices);
  }
  return cost;
}

std::vector<SingleChange> UsefulChanges(const SearchCore& core, size_t most) {
  const DecisionSpace& space = core.space();
  const Choices base(space.size(), 0);
  const double base_cost = PredictedCost(core, base);
  std::vector<std::tuple<int, double, int, int>> ranked;
  for (int d = 0; d < space.size(); ++d) {
    const Decision& decision = space.decisions()[d];
    for (int c = 1; c < decision.count; ++c) {
      Choices changed = base;
      changed[d] = c;
      const double saving = base_cost - PredictedCost(core, changed);
      if (saving < kLeastSaving) continue;
      ranked.emplace_back(RoundOf(space, decision, c), -saving, d, c);
    }
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), most));
  std::vector<SingleChange> changes;
  for (const auto& [round, saving, d, c] : ranked) changes.push_back({d, c});
  return changes;
}

SensitivityTable::SensitivityTable(const DecisionSpace* space)
    : space_(*space) {
  for (const Decision& decision : space_.decisions()) {
    losses_.emplace_back(decision.count);
    losses_.back()[0] = 0;
  }
}

void SensitivityTable::Set(SingleChange change, double loss) {
  losses_[change.decision][change.choice] = loss;
}

double SensitivityTable::Loss(int decision, int choice) const {
  const auto& known = losses_[decision];
  if (known[choice].has_value()) return *known[choice];
  const bool has_any =
      std::any_of(known.begin() + 1, known.end(),
                  [](const auto& loss) { return loss.has_value(); });
  const bool is_keep = space_.decisions()[decision].is_keep;
  if (!has_any) return MeanLoss(is_keep);
  return is_keep ? LossOfKeep(decision, choice)
                 : LossOfOption(decision, choice);
}

double SensitivityTable::MeanLoss(bool is_keep) const {
  double sum = 0;
  int count = 0;
  for (int d = 0; d < space_.size(); ++d) {
    if (space_.decisions()[d].is_keep != is_keep) continue;
    for (size_t c = 1; c < losses_[d].size(); ++c) {
      if (!losses_[d][c].has_value()) continue;
      sum += *losses_[d][c];
      ++count;
    }
  }
  // Before anything is known, a loss that makes cheap steps come first.
  return count > 0 ? sum / count : 0.01;
}

double SensitivityTable::LossOfKeep(int decision, int choice) const {
  const std::vector<double>& ratios =
      space_.groups()[space_.decisions()[decision].group].keep_ratios;
  const auto& known = losses_[decision];
  const double removed = 1 - ratios[choice];
  // Nearest measured neighbours by channels removed.
  int below = 0;
  int above = -1;
  for (size_t c = 0; c < known.size(); ++c) {
    if (!known[c].has_value()) continue;
    const double at = 1 - ratios[c];
    if (at <= removed && at >= 1 - ratios[below]) below = static_cast<int>(c);
    if (at > removed && (above < 0 || at < 1 - ratios[above])) {
      above = static_cast<int>(c);
    }
  }
  const double low = 1 - ratios[below];
  if (above >= 0) {
    const double weight = (removed - low) / (1 - ratios[above] - low);
    return *known[below] + weight * (*known[above] - *known[below]);
  }
  return low > 0 ? *known[below] * (removed / low) * (removed / low)
                 : MeanLoss(/*is_keep=*/true);
}

double SensitivityTable::LossOfOption(int decision, int choice) const {
  const auto& known = losses_[decision];
  for (size_t c = choice + 1; c < known.size(); ++c) {
    if (known[c].has_value()) return *known[c];
  }
  for (int c = choice - 1; c > 0; --c) {
    if (known[c].has_value()) {
      return std::max(0.0, *known[c]) * std::pow(4.0, choice - c);
    }
  }
  return MeanLoss(/*is_keep=*/false);
}

}  // namespace lathe
