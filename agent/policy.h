// Plans drawn choice by choice under a budget, and the steps that teach it.
#ifndef LATHE_AGENT_POLICY_H_
#define LATHE_AGENT_POLICY_H_

#include <optional>
#include <string>
#include <vector>

#include "agent/budget_grid.h"
#include "agent/choice_network.h"
#include "agent/divergence_model.h"
#include "agent/random.h"
#include "agent/search_core.h"
#include "agent/state_features.h"

namespace lathe {

// What a budget asks for before anything is drawn: the solver's plan for it,
// and how much worse each single choice is, in the solver's own terms.
struct BudgetPrior {
  EpisodeBudget budget;
  // The best worth known within the budget, and how unsure the model is of the
  // solver's plan: standard deviation of the logarithm of its divergence.
  double best_worth = 0;
  double log_sd = 0;
  Limits limits;
  // LeastDamage of the limits.
  Choices solved;
  // By decision and choice: what damage + price x cost of `solved` rises by
  // when that choice is taken instead, in units of a typical choice's damage;
  // bounded, never negative. The price is the solver's.
  std::vector<std::vector<float>> energies;
};

// A factored categorical policy: for each decision in turn, the choices that
// keep the budget reachable (and are not useless) get probabilities from a
// ChoiceNetwork, whose prior are the energies. Untrained it draws what the
// solver answers and plans near it; what it learns is where that is wrong. Not
// thread-safe.
class Policy {
 public:
  // All must outlive the policy; `grid` has what is known. Without masks every
  // choice may be drawn, and so plans may exceed their budgets.
  Policy(const SearchCore* core, const DivergenceModel* model,
         const BudgetGrid* grid, const ChoiceNetwork* network,
         bool has_masks = true);

  // Size of ChoiceStep's features.
  static int FeatureSize();

  BudgetPrior PriorOf(const EpisodeBudget& budget) const;

  // `count` plans. Without masks aside, each is within the budget as predicted
  // wherever a plan is.
  std::vector<Choices> Draw(const BudgetPrior& prior, int count,
                            Random* random) const;

  // The plan that takes the likeliest choice everywhere.
  Choices Likeliest(const BudgetPrior& prior) const;

  // `plan` with the decisions marked in `is_free` drawn anew; the others stay
  // where the budget allows.
  Choices Redraw(const Choices& plan, const std::vector<bool>& is_free,
                 const BudgetPrior& prior, Random* random) const;

  // The steps of an executed plan as they would have looked under the budget;
  // each has `weight`. Steps whose taken choice is masked under the budget are
  // left out.
  std::vector<ChoiceStep> Replay(const Choices& plan, const BudgetPrior& prior,
                                 float weight) const;

  // The probability of each of the plan's choices under the budget, 1 where
  // there is nothing to choose; nothing for a choice that is masked.
  std::vector<std::optional<double>> Probabilities(
      const Choices& plan, const BudgetPrior& prior) const;
  // The same for people, with the budget and what is left of it over the least
  // that later choices need, as a share of the original's latency (where
  // latency is not bounded, size): "; for a latency ratio of 0.4: conv1 keeps
  // 0.5 p 0.31 left 0.12; conv1 int8:4 p 0.92 left 0.12; ...".
  std::string Explain(const Choices& plan, const BudgetPrior& prior) const;

 private:
  std::vector<int> Allowed(const PrefixWalker& walker,
                           const Limits& limits) const;
  // Drops coarser weights that, in the same kernel, save nothing that counts.
  // Never drops all.
  void RemoveUseless(const PrefixWalker& walker,
                     std::vector<int>* allowed) const;
  // What `limits` leave; see Explain. Nothing where nothing is limited.
  std::optional<double> LeftRatio(const PrefixWalker& walker,
                                  const Limits& limits) const;
  ChoiceStep StepAt(const PrefixWalker& walker, const std::vector<int>& allowed,
                    const BudgetPrior& prior) const;

  const SearchCore& core_;
  const DivergenceModel& model_;
  const BudgetGrid& grid_;
  const ChoiceNetwork& network_;
  const bool has_masks_;
  const StateFeatures features_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_POLICY_H_
