#include "agent/proposers.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "agent/additive_solver.h"
#include "agent/elite_children.h"

namespace lathe {
namespace {

// Plans that each proposer suggests in a round.
constexpr int kPolicyPlans = 16;
constexpr int kElitePlans = 8;
constexpr int kChildren = 600;
constexpr int kSolverPlans = 3;

}  // namespace

std::vector<Suggestion> Proposers::Suggest(const EpisodeBudget& budget,
                                           Random* random) {
  std::vector<Suggestion> suggestions;
  std::set<Choices> suggested;
  const auto add = [&](Choices plan, Proposer proposer) {
    if (core_.IsKnown(plan) || !core_.IsWithin(plan, core_.limits()) ||
        !suggested.insert(plan).second) {
      return;
    }
    suggestions.push_back({std::move(plan), proposer, {}, 0});
  };
  if (parts_.has_policy) {
    const BudgetPrior prior = policy_.PriorOf(budget);
    std::vector<Choices> drawn = policy_.Draw(prior, kPolicyPlans, random);
    if (parts_.has_rollouts) Rehearse(prior, drawn);
    for (Choices& plan : drawn) add(std::move(plan), kPolicy);
    for (int i = 0; parts_.has_resampling && i < kElitePlans; ++i) {
      add(RedrawnElite(prior, random), kElite);
    }
  }
  for (int i = 0; parts_.has_solver && i < kSolverPlans; ++i) {
    const EpisodeBudget asked = i == 0 ? budget : grid_.Draw(random);
    add(LeastDamage(core_, model_, LimitsOf(core_, asked)), kSolver);
  }
  for (int i = 0; parts_.has_children && i < kChildren; ++i) {
    add(EliteChild(core_, archive_, random), kChild);
  }
  return suggestions;
}

// The policy learns from plans it has just drawn by what the model thinks of
// them.
void Proposers::Rehearse(const BudgetPrior& prior,
                         absl::Span<const Choices> drawn) {
  std::vector<double> worths;
  for (const PlanOutlook& outlook :
       OutlooksOf(core_, model_, curve_, parts_.has_surrogate, drawn)) {
    // Only without masks anything is exceeded.
    const double excess =
        std::max(0.0, outlook.latency_ratio - prior.budget.latency_ratio) +
        std::max(0.0, outlook.size_ratio - prior.budget.size_ratio);
    worths.push_back(outlook.worth - excess);
  }
  teacher_.Reinforce(prior, drawn, worths);
}

Choices Proposers::RedrawnElite(const BudgetPrior& prior,
                                Random* random) const {
  const Choices elite = EliteNear(archive_, prior.budget, random).choices;
  // One decision on average half the time, a quarter of them otherwise.
  const double share =
      random->Uniform() < 0.5 ? 1.5 / std::max<size_t>(1, elite.size()) : 0.25;
  std::vector<bool> is_free(elite.size());
  for (size_t d = 0; d < is_free.size(); ++d) {
    is_free[d] = random->Uniform() < share;
  }
  return policy_.Redraw(elite, is_free, prior, random);
}

}  // namespace lathe
