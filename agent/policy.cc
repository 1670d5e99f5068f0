#include "agent/policy.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agent/rl_seeds.h"

namespace lathe {
namespace {

// The allowed choice nearest to `wanted`; of two as near, the milder.
int Nearest(const std::vector<int>& allowed, int wanted) {
  return *std::min_element(allowed.begin(), allowed.end(),
                           [wanted](int a, int b) {
                             return std::abs(a - wanted) < std::abs(b - wanted);
                           });
}

}  // namespace

Policy::Policy(const SearchCore* core, const DivergenceModel* model,
               DdpgLearner* learner)
    : core_(*core), model_(*model), features_(core, model), learner_(learner) {}

void Policy::RemoveUseless(const PrefixWalker& walker,
                           std::vector<int>* allowed) const {
  const Decision& decision = walker.next();
  if (decision.is_keep) return;
  const bool size_matters = SizeMatters(core_);
  const auto is_useless = [&](int choice) {
    const v1::PrecisionOption& option =
        core_.space().option(decision.layer, choice);
    for (const int other : *allowed) {
      const v1::PrecisionOption& finer =
          core_.space().option(decision.layer, other);
      if (finer.precision() != option.precision() ||
          finer.weight_bits() <= option.weight_bits()) {
        continue;
      }
      const auto bytes = [&](int c) {
        return core_.costs().CostOf(decision.layer, c, walker.keeps()).bytes;
      };
      if (!size_matters || bytes(other) <= bytes(choice)) return true;
    }
    return false;
  };
  std::vector<int> useful;
  for (const int choice : *allowed) {
    if (!is_useless(choice)) useful.push_back(choice);
  }
  *allowed = std::move(useful);
}

int Policy::Choose(const PrefixWalker& walker, const Limits& limits,
                   double action, double sigma, Random* random) const {
  std::vector<int> allowed = walker.Allowed(limits);
  if (allowed.empty()) return walker.LeastExceeding(limits);
  RemoveUseless(walker, &allowed);
  const double noisy =
      sigma > 0 ? random->TruncatedNormal(action, sigma, 0, 1) : action;
  return Nearest(allowed, ToChoice(noisy, walker.next().count));
}

std::vector<Choices> Policy::Draw(const EpisodeBudget& budget,
                                  absl::Span<const double> sigmas,
                                  Random* random) const {
  const Limits limits = LimitsOf(core_, budget);
  const int count = static_cast<int>(sigmas.size());
  std::vector<PrefixWalker> walkers(count, PrefixWalker(&core_.reachability()));
  for (const Decision& decision : core_.space().decisions()) {
    if (decision.count == 1) {
      for (PrefixWalker& walker : walkers) walker.Push(0);
      continue;
    }
    std::vector<float> states;
    for (const PrefixWalker& walker : walkers) {
      const std::vector<float> state = features_.At(walker, budget);
      states.insert(states.end(), state.begin(), state.end());
    }
    const std::vector<float> actions = learner_->Act(states, count);
    for (int i = 0; i < count; ++i) {
      walkers[i].Push(
          Choose(walkers[i], limits, actions[i], sigmas[i], random));
    }
  }
  std::vector<Choices> plans;
  for (const PrefixWalker& walker : walkers) plans.push_back(walker.choices());
  return plans;
}

Choices Policy::Redraw(const Choices& plan, const std::vector<bool>& is_free,
                       const EpisodeBudget& budget, double sigma,
                       Random* random) const {
  const Limits limits = LimitsOf(core_, budget);
  PrefixWalker walker(&core_.reachability());
  while (!walker.is_complete()) {
    const size_t d = walker.choices().size();
    if (is_free[d] && walker.next().count > 1) {
      const float action = learner_->Act(features_.At(walker, budget), 1)[0];
      walker.Push(Choose(walker, limits, action, sigma, random));
      continue;
    }
    const std::vector<int> allowed = walker.Allowed(limits);
    walker.Push(allowed.empty() ? walker.LeastExceeding(limits)
                                : Nearest(allowed, plan[d]));
  }
  return walker.choices();
}

std::vector<Transition> Policy::Replay(const Choices& plan, double divergence,
                                       double reference,
                                       const EpisodeBudget& budget) const {
  std::vector<Transition> steps;
  PrefixWalker walker(&core_.reachability());
  double damage = 0;
  double potential = 0;
  for (size_t d = 0; d < plan.size(); ++d) {
    const int count = core_.space().decisions()[d].count;
    if (count > 1) {
      Transition step;
      step.state = features_.At(walker, budget);
      if (!steps.empty()) steps.back().next_state = step.state;
      step.action = static_cast<float>(ToAction(plan[d], count));
      damage += model_.ChoiceDamage(static_cast<int>(d), plan[d]);
      const double next = QualityOfDivergence(damage);
      step.reward = static_cast<float>(kRewardScale * (next - potential));
      potential = next;
      steps.push_back(std::move(step));
    }
    walker.Push(plan[d]);
  }
  if (!steps.empty()) {
    steps.back().reward +=
        static_cast<float>(kRewardScale * (QualityOfDivergence(divergence) -
                                           potential - reference));
  }
  return steps;
}

}  // namespace lathe
