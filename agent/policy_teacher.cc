#include "agent/policy_teacher.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

// Elites imitated in a lesson: each needs a solution of its own budget.
constexpr int kImitated = 3;

// How much looser than its own cost the budget of an imitated plan is at most.
constexpr double kMostSlack = 0.05;

// Logarithms of divergences are of the order of 1; beyond this none counts
// more.
constexpr double kMostAdvantage = 1;

// A surrogate's best guess weighs less than what was measured.
constexpr double kRolloutWeight = 0.3;

void Append(std::vector<ChoiceStep> from, std::vector<ChoiceStep>* to) {
  for (ChoiceStep& step : from) to->push_back(std::move(step));
}

}  // namespace

PolicyTeacher::PolicyTeacher(const Archive* archive,
                             const DivergenceModel* model, const Policy* policy,
                             ChoiceNetwork* network)
    : archive_(*archive), model_(*model), policy_(*policy), network_(network) {}

double PolicyTeacher::AdvantageWeight(const Evaluated& elite,
                                      const BudgetPrior& prior) const {
  const double solvers = model_.Predict({prior.solved})[0].Mean();
  const double advantage =
      std::log((solvers + DivergenceModel::kFloor) /
               (elite.divergence + DivergenceModel::kFloor));
  return std::exp(std::clamp(advantage, -kMostAdvantage, kMostAdvantage));
}

void PolicyTeacher::Imitate(Random* random) {
  const std::vector<int>& elites = archive_.elites();
  std::vector<ChoiceStep> steps;
  for (int i = 0; i < kImitated; ++i) {
    const Evaluated& elite =
        archive_.rows()[elites[random->Below(static_cast<int>(elites.size()))]];
    EpisodeBudget budget;
    budget.latency_ratio =
        elite.latency_ratio * (1 + kMostSlack * random->Uniform());
    budget.size_ratio = elite.size_ratio * (1 + kMostSlack * random->Uniform());
    const BudgetPrior prior = policy_.PriorOf(budget);
    const auto weight = static_cast<float>(AdvantageWeight(elite, prior));
    Append(policy_.Replay(elite.choices, prior, weight), &steps);
  }
  if (!steps.empty()) network_->Update(steps);
}

void PolicyTeacher::Reinforce(const BudgetPrior& prior,
                              absl::Span<const Choices> plans,
                              absl::Span<const double> worths) {
  const double count = static_cast<double>(plans.size());
  double sum = 0, squares = 0;
  for (const double worth : worths) sum += worth;
  for (const double worth : worths) squares += std::pow(worth - sum / count, 2);
  const double spread = std::sqrt(squares / count);
  constexpr double kLeastSpread = 1e-9;
  if (count < 2 || spread < kLeastSpread) return;
  std::vector<ChoiceStep> steps;
  for (size_t i = 0; i < plans.size(); ++i) {
    const double others = (sum - worths[i]) / (count - 1);
    const double advantage = (worths[i] - others) / spread;
    Append(policy_.Replay(plans[i], prior,
                          static_cast<float>(kRolloutWeight * advantage)),
           &steps);
  }
  if (!steps.empty()) network_->Update(steps);
}

}  // namespace lathe
