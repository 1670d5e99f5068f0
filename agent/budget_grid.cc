#include "agent/budget_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace lathe {
namespace {

// Budgets along an axis, of two and alone. With fewer the search runs out of
// gains that it can see before the frontier is closed: all that is worth having
// may lie within a tenth of an axis.
constexpr int kPerAxis = 64;
constexpr int kAlone = 512;

// What is thought to be still lost where nothing seems lost.
constexpr double kLeastLoss = 5e-4;

std::vector<double> Axis(double least, bool matters,
                         std::optional<double> budget, int count) {
  // An axis that does not matter never excludes.
  if (!matters) {
    return {std::numeric_limits<double>::infinity()};
  }
  const double most = budget.value_or(1);
  const double from = budget ? least + BudgetGrid::kBudgetStart * (most - least)
                             : std::min(least, most);
  std::vector<double> axis;
  for (int i = 0; i < count; ++i) {
    axis.push_back(from + (most - from) * (i + 1) / count);
  }
  return axis;
}

}  // namespace

Limits LimitsOf(const SearchCore& core, const EpisodeBudget& budget) {
  return {std::min(core.limits().us,
                   budget.latency_ratio * core.costs().baseline_us()),
          std::min(core.limits().bytes,
                   budget.size_ratio * core.costs().baseline_bytes())};
}

BudgetGrid::BudgetGrid(const SearchCore& core) {
  const RelativeBudget& budget = core.objective().budget();
  const bool has_latency =
      core.objective().has_latency() || budget.latency_ratio;
  const bool has_size = core.objective().has_size() || budget.size_ratio;
  const int count = has_latency && has_size ? kPerAxis : kAlone;
  latencies_ = Axis(core.reachability().least_us() / core.costs().baseline_us(),
                    has_latency, budget.latency_ratio, count);
  sizes_ =
      Axis(core.reachability().least_bytes() / core.costs().baseline_bytes(),
           has_size, budget.size_ratio, count);
  best_.assign(latencies_.size() * sizes_.size(),
               core.context().least_accuracy_ratio);
}

BudgetGrid::BudgetGrid(std::vector<double> latencies, std::vector<double> sizes,
                       double least_worth)
    : latencies_(std::move(latencies)), sizes_(std::move(sizes)) {
  best_.assign(latencies_.size() * sizes_.size(), least_worth);
}

size_t BudgetGrid::FirstAllowing(const std::vector<double>& axis,
                                 double ratio) {
  return static_cast<size_t>(std::lower_bound(axis.begin(), axis.end(), ratio) -
                             axis.begin());
}

double BudgetGrid::Gain(double worth, double latency_ratio,
                        double size_ratio) const {
  const size_t first_size = FirstAllowing(sizes_, size_ratio);
  double gain = 0;
  for (size_t l = FirstAllowing(latencies_, latency_ratio);
       l < latencies_.size(); ++l) {
    const double* row = &best_[l * sizes_.size()];
    // The best worth never falls along a row: beyond a cell that is as good
    // nothing is gained.
    for (size_t s = first_size; s < sizes_.size() && row[s] < worth; ++s) {
      gain += worth - row[s];
    }
    if (first_size < sizes_.size() && row[first_size] >= worth) break;
  }
  return gain / static_cast<double>(best_.size());
}

double BudgetGrid::BestWithin(double latency_ratio, double size_ratio) const {
  const size_t l =
      std::min(FirstAllowing(latencies_, latency_ratio), latencies_.size() - 1);
  const size_t s =
      std::min(FirstAllowing(sizes_, size_ratio), sizes_.size() - 1);
  return best_[l * sizes_.size() + s];
}

void BudgetGrid::Add(double worth, double latency_ratio, double size_ratio) {
  const size_t first_size = FirstAllowing(sizes_, size_ratio);
  for (size_t l = FirstAllowing(latencies_, latency_ratio);
       l < latencies_.size(); ++l) {
    double* row = &best_[l * sizes_.size()];
    for (size_t s = first_size; s < sizes_.size() && row[s] < worth; ++s) {
      row[s] = worth;
    }
  }
}

EpisodeBudget BudgetGrid::Draw(Random* random) const {
  std::vector<double> weights;
  for (const double best : best_) {
    weights.push_back(std::sqrt(kLeastLoss + std::max(0.0, 1 - best)));
  }
  const size_t cell = random->Weighted(weights);
  return {latencies_[cell / sizes_.size()], sizes_[cell % sizes_.size()]};
}

}  // namespace lathe
