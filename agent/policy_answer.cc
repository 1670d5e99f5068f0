#include "agent/policy_answer.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "agent/elite_children.h"
#include "agent/plan_outlook.h"

namespace lathe {
namespace {

constexpr int kAnswerDrawn = 48;
constexpr int kAnswerChildren = 200;

// How many of the best plans are looked around, and how often.
constexpr size_t kLookedAround = 4;
constexpr int kAnswerRounds = 4;

// How many standard deviations worse than believed an unmeasured plan is taken
// to be: the best of many beliefs is one that was too good.
constexpr double kCaution = -0.5;

// That a standard normal number is below `x`.
double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

struct Candidate {
  BudgetAnswer answer;
  double worth = 0;
};

class AnswerSearch {
 public:
  AnswerSearch(const AnswerParts& parts, const BudgetPrior& prior)
      : parts_(parts), core_(*parts.core), prior_(prior) {}

  // The best of all that was added; nothing when nothing is within the budget.
  std::optional<BudgetAnswer> Best() const {
    if (candidates_.empty()) return std::nullopt;
    return std::max_element(candidates_.begin(), candidates_.end(), IsWorse)
        ->answer;
  }

  void AddMeasured() {
    for (const Evaluated& row : parts_.archive->rows()) {
      seen_.insert(row.choices);
      if (!row.is_feasible || row.latency_ratio > prior_.budget.latency_ratio ||
          row.size_ratio > prior_.budget.size_ratio) {
        continue;
      }
      candidates_.push_back(
          {{row.choices, row.latency_ratio}, AboveLeast(row.divergence)});
    }
  }

  // Those that are new and, as predicted, within the budget.
  void AddPredicted(std::vector<Choices> plans) {
    std::vector<Choices> fresh;
    for (Choices& plan : plans) {
      if (core_.IsWithin(plan, prior_.limits) && seen_.insert(plan).second) {
        fresh.push_back(std::move(plan));
      }
    }
    const auto predictions = parts_.model->Predict(fresh);
    for (size_t i = 0; i < fresh.size(); ++i) {
      const double worth = AboveLeast(predictions[i].Optimistic(kCaution)) *
                           ChanceWithin(fresh[i]);
      candidates_.push_back({{std::move(fresh[i]), std::nullopt}, worth});
    }
  }

  // Single changes of the best so far.
  void LookAround() {
    const size_t count = std::min(kLookedAround, candidates_.size());
    std::partial_sort(
        candidates_.begin(), candidates_.begin() + count, candidates_.end(),
        [](const Candidate& a, const Candidate& b) { return IsWorse(b, a); });
    std::vector<Choices> neighbours;
    for (size_t i = 0; i < count; ++i) {
      Choices plan = candidates_[i].answer.plan;
      for (int d = 0; d < core_.space().size(); ++d) {
        const int own = plan[d];
        for (int c = 0; c < core_.space().decisions()[d].count; ++c) {
          plan[d] = c;
          if (c != own) neighbours.push_back(plan);
        }
        plan[d] = own;
      }
    }
    AddPredicted(std::move(neighbours));
  }

 private:
  static bool IsWorse(const Candidate& a, const Candidate& b) {
    return a.worth < b.worth;
  }

  double AboveLeast(double divergence) const {
    return WorthOf(*parts_.curve, divergence) -
           core_.context().least_accuracy_ratio;
  }

  double ChanceWithin(const Choices& plan) const {
    double chance = 1;
    const double latency = core_.PredictedLatencyRatio(plan);
    if (std::isfinite(prior_.budget.latency_ratio)) {
      chance *= NormalBelow((prior_.budget.latency_ratio - latency) /
                            (latency * core_.costs().latency_noise()));
    }
    const double size = core_.PredictedSizeRatio(plan);
    if (std::isfinite(prior_.budget.size_ratio)) {
      chance *= NormalBelow((prior_.budget.size_ratio - size) /
                            (size * core_.costs().size_noise()));
    }
    return chance;
  }

  const AnswerParts& parts_;
  const SearchCore& core_;
  const BudgetPrior& prior_;
  std::set<Choices> seen_;
  std::vector<Candidate> candidates_;
};

// What exceeds the limits least, if everything does.
Choices LeastExceeding(const SearchCore& core, const Limits& limits) {
  PrefixWalker walker(&core.reachability());
  while (!walker.is_complete()) walker.Push(walker.LeastExceeding(limits));
  return walker.choices();
}

}  // namespace

absl::StatusOr<BudgetAnswer> AnswerWithin(const AnswerParts& parts,
                                          const BudgetPrior& prior,
                                          Random* random) {
  const SearchCore& core = *parts.core;
  AnswerSearch search(parts, prior);
  search.AddMeasured();
  std::vector<Choices> plans = {prior.solved,
                                LeastExceeding(core, prior.limits)};
  if (parts.policy != nullptr) {
    plans.push_back(parts.policy->Likeliest(prior));
    for (Choices& plan : parts.policy->Draw(prior, kAnswerDrawn, random)) {
      plans.push_back(std::move(plan));
    }
  }
  for (int i = 0; i < kAnswerChildren && core.space().size() > 0; ++i) {
    plans.push_back(EliteChild(core, *parts.archive, random));
  }
  search.AddPredicted(std::move(plans));
  for (int round = 0; round < kAnswerRounds; ++round) search.LookAround();
  if (std::optional<BudgetAnswer> best = search.Best()) return *std::move(best);
  return absl::FailedPreconditionError(absl::StrFormat(
      "no plan is predicted to be within the budget; the least that this "
      "search space can reach is a latency ratio of %.4f, a size ratio of %.4f",
      core.reachability().least_us() / core.costs().baseline_us(),
      core.reachability().least_bytes() / core.costs().baseline_bytes()));
}

}  // namespace lathe
