#include "agent/policy.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/additive_solver.h"
#include "agent/rl_seeds.h"
#include "proto/names.h"

namespace lathe {
namespace {

// What a step has besides StateFeatures: the best worth known within the
// budget, and how unsure the model is there.
constexpr int kBudgetFeatures = 2;

// What a choice has besides its state: energy, its place among the choices,
// whether the solver takes it, its own damage, its own costs.
constexpr int kChoiceFeatures = 4 + StateFeatures::kChoiceCosts;

// Energies beyond this are never drawn anyway.
constexpr double kMostEnergy = 20;

}  // namespace

Policy::Policy(const SearchCore* core, const DivergenceModel* model,
               const BudgetGrid* grid, const ChoiceNetwork* network,
               bool has_masks)
    : core_(*core),
      model_(*model),
      grid_(*grid),
      network_(*network),
      has_masks_(has_masks),
      features_(core, model) {}

int Policy::FeatureSize() {
  return StateFeatures::Size() + kBudgetFeatures + kChoiceFeatures;
}

BudgetPrior Policy::PriorOf(const EpisodeBudget& budget) const {
  BudgetPrior prior;
  prior.budget = budget;
  prior.limits = LimitsOf(core_, budget);
  const PricedPlan priced = LeastDamageAndPrice(core_, model_, prior.limits);
  prior.solved = priced.plan;
  prior.best_worth = grid_.BestWithin(budget.latency_ratio, budget.size_ratio);
  prior.log_sd = model_.Predict({prior.solved})[0].log_sd;
  const auto cost_of = [&](const Choices& plan) {
    double share = 0;
    if (std::isfinite(prior.limits.us)) {
      share += core_.costs().LatencyUs(plan) / prior.limits.us;
    }
    if (std::isfinite(prior.limits.bytes)) {
      share += core_.costs().Bytes(plan) / prior.limits.bytes;
    }
    return model_.Damage(plan) + priced.price * share;
  };
  const double least = cost_of(prior.solved);
  // A typical choice's damage; the floor is what divergences cannot tell.
  const double unit =
      DivergenceModel::kFloor +
      model_.Damage(prior.solved) / std::max<size_t>(1, prior.solved.size());
  Choices changed = prior.solved;
  for (int d = 0; d < core_.space().size(); ++d) {
    std::vector<float>& energies = prior.energies.emplace_back();
    for (int c = 0; c < core_.space().decisions()[d].count; ++c) {
      changed[d] = c;
      const double rise = (cost_of(changed) - least) / unit;
      energies.push_back(
          static_cast<float>(std::clamp(rise, 0.0, kMostEnergy)));
    }
    changed[d] = prior.solved[d];
  }
  return prior;
}

std::vector<int> Policy::Allowed(const PrefixWalker& walker,
                                 const Limits& limits) const {
  std::vector<int> allowed = walker.Allowed(has_masks_ ? limits : Limits());
  if (allowed.empty()) return {walker.LeastExceeding(limits)};
  RemoveUseless(walker, &allowed);
  return allowed;
}

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

ChoiceStep Policy::StepAt(const PrefixWalker& walker,
                          const std::vector<int>& allowed,
                          const BudgetPrior& prior) const {
  const int d = static_cast<int>(walker.choices().size());
  std::vector<float> state = features_.At(walker, prior.budget);
  state.push_back(static_cast<float>(prior.best_worth));
  state.push_back(static_cast<float>(prior.log_sd));
  ChoiceStep step;
  for (const int choice : allowed) {
    const float energy = prior.energies[d][choice];
    step.energies.push_back(energy);
    step.features.insert(step.features.end(), state.begin(), state.end());
    step.features.push_back(std::log1p(energy) / 3);
    step.features.push_back(
        static_cast<float>(ToAction(choice, walker.next().count)));
    step.features.push_back(choice == prior.solved[d] ? 1.0f : 0.0f);
    step.features.push_back(static_cast<float>(
        std::log1p(100 * model_.ChoiceDamage(d, choice)) / 5));
    const StateFeatures::ChoiceCosts costs = features_.CostsOf(walker, choice);
    for (const float cost : {costs.us, costs.bytes, costs.reorder_us}) {
      step.features.push_back(cost);
    }
  }
  return step;
}

std::vector<Choices> Policy::Draw(const BudgetPrior& prior, int count,
                                  Random* random) const {
  std::vector<PrefixWalker> walkers(count, PrefixWalker(&core_.reachability()));
  for (const Decision& decision : core_.space().decisions()) {
    if (decision.count == 1) {
      for (PrefixWalker& walker : walkers) walker.Push(0);
      continue;
    }
    std::vector<std::vector<int>> allowed;
    std::vector<ChoiceStep> steps;
    for (const PrefixWalker& walker : walkers) {
      allowed.push_back(Allowed(walker, prior.limits));
      steps.push_back(StepAt(walker, allowed.back(), prior));
    }
    const auto probabilities = network_.Probabilities(steps);
    for (int i = 0; i < count; ++i) {
      walkers[i].Push(allowed[i][random->Weighted(probabilities[i])]);
    }
  }
  std::vector<Choices> plans;
  for (const PrefixWalker& walker : walkers) plans.push_back(walker.choices());
  return plans;
}

Choices Policy::Likeliest(const BudgetPrior& prior) const {
  PrefixWalker walker(&core_.reachability());
  while (!walker.is_complete()) {
    if (walker.next().count == 1) {
      walker.Push(0);
      continue;
    }
    const std::vector<int> allowed = Allowed(walker, prior.limits);
    const std::vector<ChoiceStep> steps = {StepAt(walker, allowed, prior)};
    const std::vector<double> p = network_.Probabilities(steps)[0];
    walker.Push(allowed[std::max_element(p.begin(), p.end()) - p.begin()]);
  }
  return walker.choices();
}

Choices Policy::Redraw(const Choices& plan, const std::vector<bool>& is_free,
                       const BudgetPrior& prior, Random* random) const {
  PrefixWalker walker(&core_.reachability());
  while (!walker.is_complete()) {
    const size_t d = walker.choices().size();
    const std::vector<int> allowed = Allowed(walker, prior.limits);
    if (!is_free[d] || walker.next().count == 1) {
      walker.Push(Nearest(allowed, plan[d]));
      continue;
    }
    const std::vector<ChoiceStep> steps = {StepAt(walker, allowed, prior)};
    walker.Push(allowed[random->Weighted(network_.Probabilities(steps)[0])]);
  }
  return walker.choices();
}

std::vector<ChoiceStep> Policy::Replay(const Choices& plan,
                                       const BudgetPrior& prior,
                                       float weight) const {
  std::vector<ChoiceStep> steps;
  PrefixWalker walker(&core_.reachability());
  for (const int choice : plan) {
    if (walker.next().count > 1) {
      const std::vector<int> allowed = Allowed(walker, prior.limits);
      const auto taken = std::find(allowed.begin(), allowed.end(), choice);
      if (taken != allowed.end()) {
        steps.push_back(StepAt(walker, allowed, prior));
        steps.back().taken = static_cast<int>(taken - allowed.begin());
        steps.back().weight = weight;
      }
    }
    walker.Push(choice);
  }
  return steps;
}

std::vector<std::optional<double>> Policy::Probabilities(
    const Choices& plan, const BudgetPrior& prior) const {
  std::vector<std::optional<double>> probabilities;
  PrefixWalker walker(&core_.reachability());
  for (const int choice : plan) {
    if (walker.next().count == 1) {
      probabilities.emplace_back(1.0);
    } else {
      const std::vector<int> allowed = Allowed(walker, prior.limits);
      const auto taken = std::find(allowed.begin(), allowed.end(), choice);
      probabilities.emplace_back();
      if (taken != allowed.end()) {
        const std::vector<ChoiceStep> steps = {StepAt(walker, allowed, prior)};
        probabilities.back() =
            network_.Probabilities(steps)[0][taken - allowed.begin()];
      }
    }
    walker.Push(choice);
  }
  return probabilities;
}

std::optional<double> Policy::LeftRatio(const PrefixWalker& walker,
                                        const Limits& limits) const {
  if (std::isfinite(limits.us)) {
    return (limits.us - walker.bound().us) / core_.costs().baseline_us();
  }
  if (std::isfinite(limits.bytes)) {
    return (limits.bytes - walker.bound().bytes) /
           core_.costs().baseline_bytes();
  }
  return std::nullopt;
}

std::string Policy::Explain(const Choices& plan,
                            const BudgetPrior& prior) const {
  std::string text = "; for";
  if (std::isfinite(prior.budget.latency_ratio)) {
    absl::StrAppendFormat(&text, " a latency ratio of %.3f",
                          prior.budget.latency_ratio);
  }
  if (std::isfinite(prior.budget.size_ratio)) {
    absl::StrAppendFormat(&text, " a size ratio of %.3f",
                          prior.budget.size_ratio);
  }
  const auto probabilities = Probabilities(plan, prior);
  PrefixWalker walker(&core_.reachability());
  const char* separator = ":";
  for (int d = 0; d < core_.space().size(); ++d) {
    const Decision& decision = core_.space().decisions()[d];
    walker.Push(plan[d]);
    if (decision.count == 1) continue;
    const v1::Layer& layer = core_.space().space().layers(decision.layer);
    absl::StrAppend(&text, separator, " ", layer.name());
    separator = ";";
    if (decision.is_keep) {
      absl::StrAppendFormat(
          &text, " keeps %.3g",
          core_.space().groups()[decision.group].keep_ratios[plan[d]]);
    } else {
      const v1::PrecisionOption& option = layer.precisions(plan[d]);
      absl::StrAppend(&text, " ", PrecisionName(option.precision()), ":",
                      option.weight_bits());
    }
    if (probabilities[d]) {
      absl::StrAppendFormat(&text, " p %.2f", *probabilities[d]);
    } else {
      absl::StrAppend(&text, " masked");
    }
    if (const std::optional<double> left = LeftRatio(walker, prior.limits)) {
      absl::StrAppendFormat(&text, " left %.2f", *left);
    }
  }
  return text;
}

}  // namespace lathe
