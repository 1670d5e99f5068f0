#include "agent/search_core.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Predictions of the same plan by sums in another order differ in their last
// bits.
constexpr double kSlack = 1 + 1e-6;

// Weight of a new reward in the moving baseline.
constexpr double kBaselineRate = 0.1;

absl::Status CheckBudget(const Objective& objective, const CostModel& costs,
                         const Reachability& reachability) {
  const RelativeBudget& budget = objective.budget();
  const double us = budget.latency_ratio.value_or(0) * costs.baseline_us();
  if (budget.latency_ratio.has_value() &&
      us * kSlack < reachability.least_us()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the latency budget of %.4g us (%.4g of the baseline's) is below the "
        "least that this search space can reach, %.4g us (%.4g); allow more",
        us, *budget.latency_ratio, reachability.least_us(),
        reachability.least_us() / costs.baseline_us()));
  }
  const double bytes = budget.size_ratio.value_or(0) * costs.baseline_bytes();
  if (budget.size_ratio.has_value() &&
      bytes * kSlack < reachability.least_bytes()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the size budget of %.0f bytes (%.4g of the baseline's) is below the "
        "least that this search space can reach, %.0f bytes (%.4g); allow "
        "more",
        bytes, *budget.size_ratio, reachability.least_bytes(),
        reachability.least_bytes() / costs.baseline_bytes()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SearchCore>> SearchCore::Make(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(DecisionSpace space,
                         DecisionSpace::Make(context.space));
  std::unique_ptr<SearchCore> core(new SearchCore(context, std::move(space)));
  LATHE_RETURN_IF_ERROR(
      CheckBudget(core->objective_, core->costs_, *core->reachability_));
  return core;
}

SearchCore::SearchCore(const AgentContext& context, DecisionSpace space)
    : context_(context),
      space_(std::move(space)),
      objective_(context.baseline, context.budget, context.objectives),
      costs_(&space_, context.latency_table, context.baseline) {
  known_.insert(Choices(space_.size(), 0));
  Refresh();
}

void SearchCore::Refresh() {
  // How far above the least a limit is set that proved unreachable.
  constexpr double kRoom = 1.02;
  reachability_ = std::make_unique<Reachability>(&space_, &costs_);
  const RelativeBudget& budget = objective_.budget();
  limits_ = Limits();
  if (budget.latency_ratio.has_value()) {
    limits_.us = *budget.latency_ratio * costs_.baseline_us();
    if (limits_.us * kSlack < reachability_->least_us()) {
      limits_.us = kRoom * reachability_->least_us();
    }
  }
  if (budget.size_ratio.has_value()) {
    limits_.bytes = *budget.size_ratio * costs_.baseline_bytes();
    if (limits_.bytes * kSlack < reachability_->least_bytes()) {
      limits_.bytes = kRoom * reachability_->least_bytes();
    }
  }
}

bool SearchCore::IsWithin(const Choices& choices, const Limits& limits) const {
  return costs_.LatencyUs(choices) <= limits.us * kSlack &&
         costs_.Bytes(choices) <= limits.bytes * kSlack;
}

double SearchCore::PredictedLatencyRatio(const Choices& choices) const {
  return costs_.LatencyUs(choices) / costs_.baseline_us();
}

double SearchCore::PredictedSizeRatio(const Choices& choices) const {
  return costs_.Bytes(choices) / costs_.baseline_bytes();
}

Choices SearchCore::RandomPlan(const Limits& limits, double mildness,
                               Random* random) const {
  PrefixWalker walker(reachability_.get());
  while (!walker.is_complete()) {
    const std::vector<int> allowed = walker.Allowed(limits);
    if (allowed.empty()) {
      walker.Push(walker.LeastExceeding(limits));
    } else if (allowed[0] == 0 && random->Uniform() < mildness) {
      walker.Push(0);
    } else {
      walker.Push(allowed[random->Below(static_cast<int>(allowed.size()))]);
    }
  }
  return walker.choices();
}

std::optional<Choices> SearchCore::Fresh(Choices choices,
                                         Random* random) const {
  // Tries per number of changed decisions: enough that single changes of a
  // 50-layer plan are nearly all tried.
  constexpr int kTries = 64;
  constexpr int kMostChanges = 4;
  if (space_.size() == 0) return std::nullopt;
  const auto is_good = [this](const Choices& plan) {
    return !IsKnown(plan) && IsWithin(plan, limits_);
  };
  if (is_good(choices)) return choices;
  for (int changes = 1; changes <= kMostChanges; ++changes) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      Choices changed = choices;
      for (int i = 0; i < changes; ++i) {
        const int d = random->Below(space_.size());
        changed[d] = random->Below(space_.decisions()[d].count);
      }
      if (is_good(changed)) return changed;
    }
  }
  return FindUnknown(random);
}

std::optional<Choices> SearchCore::FindUnknown(Random* random) const {
  // Every prefix that the bounds let pass leads to a plan (unless both latency
  // and size are limited), so that the search visits little more than the
  // known plans. The limit only guards the exception.
  constexpr int kMostSteps = 2'000'000;
  PrefixWalker walker(reachability_.get());
  // What is still to try at each depth.
  std::vector<std::vector<int>> to_try;
  const auto enter = [&] {
    if (walker.is_complete()) return;
    std::vector<int> allowed = walker.Allowed(limits_);
    for (size_t i = allowed.size(); i > 1; --i) {
      std::swap(allowed[i - 1], allowed[random->Below(static_cast<int>(i))]);
    }
    to_try.push_back(std::move(allowed));
  };
  enter();
  for (int step = 0; step < kMostSteps && !to_try.empty(); ++step) {
    if (to_try.back().empty()) {
      to_try.pop_back();
      if (!to_try.empty()) walker.Pop();
      continue;
    }
    walker.Push(to_try.back().back());
    to_try.back().pop_back();
    if (!walker.is_complete()) {
      enter();
      continue;
    }
    if (!IsKnown(walker.choices()) && IsWithin(walker.choices(), limits_)) {
      return walker.choices();
    }
    walker.Pop();
  }
  return std::nullopt;
}

absl::Status SearchCore::CheckAnyLeft(absl::string_view agent) {
  if (left_.has_value() && !IsKnown(*left_) && IsWithin(*left_, limits_)) {
    return absl::OkStatus();
  }
  Random random(context_.seed);
  left_ = Fresh(Choices(space_.size(), 0), &random);
  if (left_.has_value()) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat(agent, ": every plan within the budget was proposed"));
}

v1::Proposal SearchCore::Propose(const Choices& choices,
                                 absl::string_view source) {
  known_.insert(choices);
  return Describe(choices, source);
}

v1::Proposal SearchCore::Describe(const Choices& choices,
                                  absl::string_view source) const {
  v1::Proposal proposal;
  *proposal.mutable_plan() = space_.ToPlan(choices);
  proposal.set_source(std::string(source));
  proposal.set_predicted_latency_us(costs_.LatencyUs(choices));
  return proposal;
}

std::optional<Choices> SearchCore::Learn(const v1::Trial& trial) {
  const double reward = objective_.Evaluate(trial).value();
  moving_baseline_ =
      moving_baseline_.has_value()
          ? (1 - kBaselineRate) * *moving_baseline_ + kBaselineRate * reward
          : reward;
  std::optional<Choices> choices = space_.FromPlan(trial.proposal().plan());
  if (!choices.has_value()) return std::nullopt;
  known_.insert(*choices);
  // Else the latency is the cost model's own.
  if (IsMeasuredWhole(trial)) {
    if (costs_.Observe(*choices, trial.measurement())) Refresh();
  }
  return choices;
}

std::optional<Choices> SearchCore::Dismiss(const v1::Trial& trial) {
  std::optional<Choices> choices = space_.FromPlan(trial.proposal().plan());
  if (choices.has_value()) known_.insert(*choices);
  return choices;
}

v1::Reward SearchCore::Evaluate(const v1::Trial& trial) const {
  v1::Reward reward = objective_.Evaluate(trial);
  reward.set_moving_baseline(moving_baseline());
  return reward;
}

void SearchCore::Visit(StateArchive& archive) {
  archive(costs_);
  archive(known_);
  archive(moving_baseline_);
  if (archive.is_reading() && archive.is_sound()) Refresh();
}

}  // namespace lathe
