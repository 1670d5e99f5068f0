#include "agent/budget_solutions.h"

#include <utility>

#include "agent/budget_grid.h"

namespace lathe {

std::optional<Choices> MostGainingSolution(
    const SearchCore& core, const Archive& archive, const AccuracyCurve& curve,
    int budgets, absl::FunctionRef<Choices(const Limits&)> solve,
    absl::FunctionRef<double(const Choices&)> divergence_of, Random* random) {
  if (core.space().size() == 0) return std::nullopt;
  const BudgetGrid empty(core);
  BudgetGrid grid = empty;
  for (const Evaluated& row : archive.rows()) {
    if (!row.is_feasible) continue;
    grid.Add(curve.At(row.divergence), row.latency_ratio, row.size_ratio);
  }
  std::optional<Choices> best;
  double most = 0;
  for (int i = 0; i < budgets; ++i) {
    std::optional<Choices> plan =
        core.Fresh(solve(LimitsOf(core, empty.Draw(random))), random);
    if (!plan) return std::nullopt;
    const double gain = grid.Gain(curve.At(divergence_of(*plan)),
                                  core.PredictedLatencyRatio(*plan),
                                  core.PredictedSizeRatio(*plan));
    if (best && gain <= most) continue;
    most = gain;
    best = std::move(plan);
  }
  return best;
}

}  // namespace lathe
