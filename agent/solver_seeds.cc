#include "agent/solver_seeds.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "agent/additive_solver.h"
#include "agent/budget_grid.h"
#include "agent/single_probes.h"

namespace lathe {
namespace {

constexpr int64_t kMostBudgets = 16;
constexpr int64_t kTrialsPerBudgetSeed = 75;
constexpr int64_t kTrialsPerPair = 100;

// Two changes that do more than this are in no plan worth having, nats.
constexpr double kMostTogether = 1;

// The share `looseness` of the way up to the budget, or to the uncompressed
// model: from the least, or close under the budget.
double Between(double least, std::optional<double> budget, double looseness) {
  const double most = budget.value_or(1);
  const double from = budget ? least + BudgetGrid::kBudgetStart * (most - least)
                             : std::min(least, most);
  return from + looseness * (most - from);
}

std::optional<Choices> Together(const Choices& a, const Choices& b) {
  Choices both = a;
  for (size_t d = 0; d < both.size(); ++d) {
    if (b[d] == 0) continue;
    if (both[d] != 0) return std::nullopt;
    both[d] = b[d];
  }
  return both;
}

}  // namespace

std::vector<Choices> SolverSeeds(const SearchCore& core,
                                 const DivergenceModel& model) {
  if (core.space().size() == 0) return {};
  const int64_t count =
      std::min(kMostBudgets, core.context().trials / kTrialsPerBudgetSeed);
  const CostModel& costs = core.costs();
  const RelativeBudget& budget = core.objective().budget();
  std::vector<Choices> seeds;
  for (int64_t i = 0; i < count; ++i) {
    const double looseness =
        (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    EpisodeBudget asked;
    if (core.objective().has_latency() || budget.latency_ratio) {
      asked.latency_ratio =
          Between(core.reachability().least_us() / costs.baseline_us(),
                  budget.latency_ratio, looseness);
    }
    if (core.objective().has_size() || budget.size_ratio) {
      asked.size_ratio =
          Between(core.reachability().least_bytes() / costs.baseline_bytes(),
                  budget.size_ratio, looseness);
    }
    seeds.push_back(LeastDamage(core, model, LimitsOf(core, asked)));
  }
  return seeds;
}

std::vector<Choices> InteractionSeeds(const SearchCore& core,
                                      const Archive& archive) {
  if (std::isfinite(core.limits().us) || std::isfinite(core.limits().bytes)) {
    return {};
  }
  std::vector<const Evaluated*> singles;
  for (const Evaluated& row : archive.rows()) {
    if (row.is_feasible && AsSingleChange(row.choices)) singles.push_back(&row);
  }
  std::vector<std::pair<double, Choices>> pairs;
  for (size_t i = 0; i < singles.size(); ++i) {
    for (size_t j = i + 1; j < singles.size(); ++j) {
      const double a = singles[i]->divergence;
      const double b = singles[j]->divergence;
      if (a + b > kMostTogether) continue;
      if (auto both = Together(singles[i]->choices, singles[j]->choices)) {
        pairs.emplace_back(-a * b, *std::move(both));
      }
    }
  }
  std::sort(pairs.begin(), pairs.end());
  const auto most = static_cast<size_t>(core.context().trials / kTrialsPerPair);
  std::vector<Choices> seeds;
  for (size_t i = 0; i < std::min(most, pairs.size()); ++i) {
    seeds.push_back(std::move(pairs[i].second));
  }
  return seeds;
}

}  // namespace lathe
