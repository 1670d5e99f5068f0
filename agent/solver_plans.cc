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
      feasibility_(&core->space()),
      model_(&core->space(), core->context().baseline.kl_divergence()),
      singles_({EvaluatedBaseline(*core)}) {}

void SolverPlans::Add(const Evaluated& row) {
  archive_.Add(row);
  if (AsSingleChange(row.choices)) singles_.push_back(row);
  is_stale_ = true;
}

void SolverPlans::Fit() {
  if (!is_stale_) return;
  feasibility_ = Feasibility(&core_.space(), archive_.rows());
  model_.Fit(is_adaptive_ ? feasibility_.Telling(archive_.rows()) : singles_);
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
        if (!is_adaptive_) return model_.Damage(plan);
        return feasibility_.Doubts(plan) > 0 ? kInfeasibleDivergence
                                             : model_.Predict({plan})[0].Mean();
      },
      &random_);
}

}  // namespace lathe
