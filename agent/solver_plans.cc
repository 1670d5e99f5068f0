#include "agent/solver_plans.h"

#include "agent/additive_solver.h"
#include "agent/budget_solutions.h"
#include "agent/single_probes.h"

namespace lathe {
namespace {

// Budgets that are solved for in a round.
constexpr int kBudgets = 24;

}  // namespace

SolverPlans::SolverPlans(const SearchCore* core, bool is_adaptive,
                         uint64_t seed)
    : core_(*core),
      is_adaptive_(is_adaptive),
      random_(seed),
      archive_(core),
      model_(&core->space(), core->context().baseline.kl_divergence()),
      fitted_({EvaluatedBaseline(*core)}) {}

void SolverPlans::Add(const Evaluated& row) {
  archive_.Add(row);
  if (is_adaptive_ || AsSingleChange(row.choices)) fitted_.push_back(row);
  is_stale_ = true;
}

void SolverPlans::Fit() {
  if (!is_stale_) return;
  model_.Fit(fitted_);
  curve_.Fit(archive_.rows());
  is_stale_ = false;
}

std::optional<Choices> SolverPlans::Next() {
  Fit();
  return MostGainingSolution(
      core_, archive_, curve_, kBudgets,
      [this](const Limits& limits) {
        return LeastDamage(core_, model_, limits);
      },
      [this](const Choices& plan) {
        return is_adaptive_ ? model_.Predict({plan})[0].Mean()
                            : model_.Damage(plan);
      },
      &random_);
}

}  // namespace lathe
