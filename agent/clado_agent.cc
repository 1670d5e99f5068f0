// clado: CLADO (Deng et al., "Mixed-Precision Quantization with Cross-Layer
// Dependencies", 2023): besides each single change, pairs of changes are
// measured, and for each of many budgets a quadratic programme of the damages
// and their interactions is solved. What plans turn out to be changes nothing.
// The paper measures every pair; here trials are charged, and so the pairs
// measured are those whose single damages have the largest product, which
// bounds what two changes can have in common.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/budget_solutions.h"
#include "agent/quadratic_damage.h"
#include "agent/search_core.h"
#include "agent/single_probes.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Shares of the trials that single changes and pairs may take.
constexpr double kSingleShare = 0.25;
constexpr double kPairShare = 0.25;

// Two changes that do more than this are in no plan worth having, nats.
constexpr double kMostPairDamage = 1;

// Budgets that are solved for in a round.
constexpr int kBudgets = 8;

class CladoAgent : public Agent {
 public:
  CladoAgent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)),
        random_(seed),
        archive_(core_.get()),
        singles_(core_.get(), kSingleShare),
        pairs_left_(static_cast<int>(
            kPairShare * static_cast<double>(core_->context().trials))) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    if (const std::optional<Choices> probe = singles_.Next()) {
      return core_->Propose(*probe, "clado/sensitivity");
    }
    if (const std::optional<Choices> pair = NextPair()) {
      return core_->Propose(*pair, "clado/pair/sensitivity");
    }
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("clado"));
    const std::optional<Choices> plan = BestSolution();
    if (!plan) {
      return absl::OutOfRangeError(
          "clado: every plan within the budget was proposed");
    }
    return core_->Propose(*plan, "clado/solver");
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices) return;
    const Evaluated row = lathe::Evaluate(*core_, trial, *choices);
    archive_.Add(row);
    const auto changed = std::count_if(row.choices.begin(), row.choices.end(),
                                       [](int c) { return c != 0; });
    if (changed <= 2) damage_of_[row.choices] = DamageOf(row);
    quadratic_.reset();
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  double DamageOf(const Evaluated& row) const {
    return row.divergence - core_->context().baseline.kl_divergence();
  }

  struct MeasuredChange {
    SingleChange change;
    double damage = 0;
  };
  std::vector<MeasuredChange> MeasuredSingles() const {
    std::vector<MeasuredChange> singles;
    for (const auto& [choices, damage] : damage_of_) {
      if (const std::optional<SingleChange> change = AsSingleChange(choices)) {
        singles.push_back({*change, damage});
      }
    }
    return singles;
  }

  Choices Together(const SingleChange& a, const SingleChange& b) const {
    Choices plan(core_->space().size(), 0);
    plan[a.decision] = a.choice;
    plan[b.decision] = b.choice;
    return plan;
  }

  // The unknown pair of measured changes that have most damage in common.
  std::optional<Choices> NextPair() {
    if (pairs_left_ <= 0) return std::nullopt;
    const std::vector<MeasuredChange> singles = MeasuredSingles();
    std::optional<Choices> best;
    double most = 0;
    for (size_t i = 0; i < singles.size(); ++i) {
      for (size_t j = i + 1; j < singles.size(); ++j) {
        const MeasuredChange& a = singles[i];
        const MeasuredChange& b = singles[j];
        if (a.change.decision == b.change.decision ||
            a.damage + b.damage > kMostPairDamage ||
            a.damage * b.damage <= most) {
          continue;
        }
        Choices plan = Together(a.change, b.change);
        if (core_->IsKnown(plan)) continue;
        most = a.damage * b.damage;
        best = std::move(plan);
      }
    }
    if (best) --pairs_left_;
    return best;
  }

  void Fit() {
    const std::vector<MeasuredChange> singles = MeasuredSingles();
    SensitivityTable table(&core_->space());
    for (const MeasuredChange& single : singles) {
      table.Set(single.change, single.damage);
    }
    std::vector<QuadraticDamage::Pair> pairs;
    for (size_t i = 0; i < singles.size(); ++i) {
      for (size_t j = i + 1; j < singles.size(); ++j) {
        const auto& [a, a_damage] = singles[i];
        const auto& [b, b_damage] = singles[j];
        if (a.decision == b.decision) continue;
        const auto both = damage_of_.find(Together(a, b));
        if (both == damage_of_.end()) continue;
        pairs.push_back({a, b, both->second - a_damage - b_damage});
      }
    }
    quadratic_.emplace(core_->space(), table, pairs);
    curve_.Fit(archive_.rows());
  }

  std::optional<Choices> BestSolution() {
    if (!quadratic_) Fit();
    const double baseline = core_->context().baseline.kl_divergence();
    return MostGainingSolution(
        *core_, archive_, curve_, kBudgets,
        [this](const Limits& limits) {
          return LeastQuadraticDamage(*core_, *quadratic_, limits,
                                      core_->RandomPlan(limits, 0.5, &random_),
                                      &random_);
        },
        [this, baseline](const Choices& plan) {
          return baseline + std::max(0.0, quadratic_->Of(plan));
        },
        &random_);
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  Archive archive_;
  AccuracyCurve curve_;
  SingleProbes singles_;
  int pairs_left_;
  // Of plans that change one decision or two, nats above the uncompressed one.
  std::map<Choices, double> damage_of_;
  std::optional<QuadraticDamage> quadratic_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeCladoAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<CladoAgent>(std::move(core), context.seed);
}

}  // namespace lathe
