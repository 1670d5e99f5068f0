// tpe: the multi-objective tree-structured Parzen estimator (Ozaki et al.,
// "Multiobjective Tree-structured Parzen Estimator for Computationally
// Expensive Optimization Problems", GECCO 2020). Trials are split into the good
// ones, by rank of domination and, within the rank that does not fit, by
// volume, and the others; of 24 plans drawn from the density of the good ones
// the one with the largest ratio of the two densities is proposed. Good trials
// weigh as much as the volume that each alone adds. Densities are over all
// decisions together, as in BOHB and in Optuna's multivariate sampler, with the
// latter's number of good trials: a tenth, at most 25.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/archive.h"
#include "agent/nondominated.h"
#include "agent/parzen_estimator.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr int kFirst = 10;
constexpr int kCandidates = 24;
constexpr double kGoodShare = 0.1;
constexpr size_t kMostGood = 25;

// A little worse than the worst of every cost, as in the paper.
Costs ReferenceOf(const std::vector<Costs>& costs) {
  Costs reference = costs[0];
  for (const Costs& point : costs) {
    for (size_t i = 0; i < point.size(); ++i) {
      reference[i] = std::max(reference[i], point[i]);
    }
  }
  for (double& value : reference) value += 0.1 * std::abs(value) + 1e-6;
  return reference;
}

// Of `from`, the `count` that together dominate most, found one by one.
std::vector<int> MostVolume(const std::vector<Costs>& costs,
                            std::vector<int> from, size_t count,
                            const Costs& reference) {
  std::vector<int> taken;
  std::vector<Costs> volume_of;
  while (taken.size() < count) {
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < from.size(); ++i) {
      volume_of.push_back(costs[from[i]]);
      const double volume = DominatedVolume(volume_of, reference);
      volume_of.pop_back();
      if (volume > most) {
        most = volume;
        best = i;
      }
    }
    taken.push_back(from[best]);
    volume_of.push_back(costs[from[best]]);
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(best));
  }
  return taken;
}

// Indices of the `count` best.
std::vector<int> GoodOnes(const std::vector<Costs>& costs, size_t count) {
  const std::vector<int> ranks = NondominatedRanks(costs);
  std::vector<int> good;
  for (int rank = 0; good.size() < count; ++rank) {
    std::vector<int> front;
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (ranks[i] == rank) front.push_back(static_cast<int>(i));
    }
    if (good.size() + front.size() > count) {
      front = MostVolume(costs, front, count - good.size(), ReferenceOf(costs));
    }
    good.insert(good.end(), front.begin(), front.end());
  }
  return good;
}

// What each alone adds to the volume, the most being 1.
std::vector<double> Contributions(const std::vector<Costs>& costs,
                                  const Costs& reference) {
  constexpr double kLeast = 1e-12;
  const double whole = DominatedVolume(costs, reference);
  std::vector<double> alone;
  double most = kLeast;
  for (size_t i = 0; i < costs.size(); ++i) {
    std::vector<Costs> others = costs;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    alone.push_back(
        std::max(kLeast, whole - DominatedVolume(others, reference)));
    most = std::max(most, alone.back());
  }
  for (double& share : alone) share /= most;
  return alone;
}

class TpeAgent : public Agent {
 public:
  TpeAgent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)), random_(seed) {
    rows_.push_back(EvaluatedBaseline(*core_));
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("tpe"));
    const bool is_first = proposals_++ < kFirst || rows_.size() < 3;
    Choices wanted = is_first ? core_->RandomPlan(core_->limits(), 0, &random_)
                              : MostPromising();
    std::optional<Choices> plan = core_->Fresh(std::move(wanted), &random_);
    if (!plan) {
      return absl::OutOfRangeError(
          "tpe: every plan within the budget was proposed");
    }
    return core_->Propose(*plan, is_first ? "tpe/first" : "tpe/estimator");
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices) return;
    rows_.push_back(lathe::Evaluate(*core_, trial, *choices));
    good_.reset();
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  void Split() {
    std::vector<Costs> costs;
    for (const Evaluated& row : rows_) costs.push_back(CostsOf(*core_, row));
    const size_t count = std::min(
        kMostGood, static_cast<size_t>(std::ceil(
                       kGoodShare * static_cast<double>(rows_.size()))));
    const std::vector<int> good = GoodOnes(costs, count);
    std::vector<Choices> good_plans, other_plans;
    std::vector<Costs> good_costs;
    for (const int i : good) {
      good_plans.push_back(rows_[i].choices);
      good_costs.push_back(costs[i]);
    }
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (std::find(good.begin(), good.end(), static_cast<int>(i)) ==
          good.end()) {
        other_plans.push_back(rows_[i].choices);
      }
    }
    good_.emplace(core_->space(), std::move(good_plans),
                  Contributions(good_costs, ReferenceOf(costs)));
    std::vector<double> ones(other_plans.size(), 1);
    others_.emplace(core_->space(), std::move(other_plans), std::move(ones));
  }

  Choices MostPromising() {
    if (!good_) Split();
    Choices best;
    double most = -std::numeric_limits<double>::infinity();
    for (int i = 0; i < kCandidates; ++i) {
      Choices drawn = good_->Draw(&random_);
      // What is known or exceeds the budget would not be proposed.
      if (core_->IsKnown(drawn) || !core_->IsWithin(drawn, core_->limits())) {
        if (best.empty()) best = std::move(drawn);
        continue;
      }
      const double ratio =
          good_->LogDensity(drawn) - others_->LogDensity(drawn);
      if (ratio <= most) continue;
      most = ratio;
      best = std::move(drawn);
    }
    return best;
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  int proposals_ = 0;
  std::vector<Evaluated> rows_;
  std::optional<ParzenEstimator> good_;
  std::optional<ParzenEstimator> others_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeTpeAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<TpeAgent>(std::move(core), context.seed);
}

}  // namespace lathe
