// ilp: a sensitivity table, then for each of many budgets the plan of the least
// sum of damages, solved exactly (HAWQ-V3, Yao et al. 2021, solves the same as
// an integer linear programme). What plans turn out to be changes nothing.
//
// adaptive: the same table and solver, but damages are fitted anew to all
// trials, and of the solutions for many budgets the one with the largest
// expected gain of volume under the frontier is proposed.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/accuracy_curve.h"
#include "agent/additive_solver.h"
#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/divergence_model.h"
#include "agent/search_core.h"
#include "agent/sensitivity_table.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Share of the trials that the sensitivity table may take.
constexpr double kTableShare = 0.4;

// Budgets that are solved for in a round.
constexpr int kBudgets = 24;

bool IsSingleChange(const Choices& choices) {
  return std::count(choices.begin(), choices.end(), 0) + 1 >=
         static_cast<std::ptrdiff_t>(choices.size());
}

class SolverAgent : public Agent {
 public:
  SolverAgent(std::unique_ptr<SearchCore> core, std::string name,
              bool is_adaptive, uint64_t seed)
      : core_(std::move(core)),
        name_(std::move(name)),
        is_adaptive_(is_adaptive),
        random_(seed),
        archive_(core_.get()),
        model_(&core_->space(), core_->context().baseline.kl_divergence()),
        probes_left_(static_cast<size_t>(std::max(
            1.0, kTableShare * static_cast<double>(core_->context().trials)))) {
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    if (const std::optional<Choices> probe = NextProbe()) {
      return core_->Propose(*probe, absl::StrCat(name_, "/sensitivity"));
    }
    const std::optional<Choices> plan = BestSolution();
    if (!plan) {
      return absl::OutOfRangeError(
          absl::StrCat(name_, ": every plan within the budget was proposed"));
    }
    return core_->Propose(*plan, absl::StrCat(name_, "/solver"));
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices) return;
    const Evaluated row = lathe::Evaluate(*core_, trial, *choices);
    archive_.Add(row);
    if (is_adaptive_ || IsSingleChange(*choices)) fitted_.push_back(row);
    is_stale_ = true;
  }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  // A single change that is not known yet. These are probes, not answers, and
  // so they may exceed the job's budget.
  std::optional<Choices> NextProbe() {
    if (probes_left_ == 0) return std::nullopt;
    for (const SingleChange& change : UsefulChanges(*core_, probes_left_)) {
      Choices probe(core_->space().size(), 0);
      probe[change.decision] = change.choice;
      if (core_->IsKnown(probe)) continue;
      --probes_left_;
      return probe;
    }
    probes_left_ = 0;
    return std::nullopt;
  }

  void Refit() {
    std::vector<Evaluated> rows = {EvaluatedBaseline(*core_)};
    rows.insert(rows.end(), fitted_.begin(), fitted_.end());
    model_.Fit(rows);
    curve_.Fit(archive_.rows());
    is_stale_ = false;
  }

  Limits DrawLimits() {
    const BudgetGrid::Budget budget = BudgetGrid(*core_).Draw(&random_);
    return {std::min(core_->limits().us,
                     budget.latency_ratio * core_->costs().baseline_us()),
            std::min(core_->limits().bytes,
                     budget.size_ratio * core_->costs().baseline_bytes())};
  }

  // Of the solutions for many budgets, or unknown plans beside them, the one
  // that promises most; nothing when every plan is known.
  std::optional<Choices> BestSolution() {
    if (core_->space().size() == 0) return std::nullopt;
    if (is_stale_) Refit();
    BudgetGrid grid(*core_);
    for (const Evaluated& row : archive_.rows()) {
      if (!row.is_feasible) continue;
      grid.Add(curve_.At(row.divergence), row.latency_ratio, row.size_ratio);
    }
    std::optional<Choices> best;
    double most = 0;
    for (int i = 0; i < kBudgets; ++i) {
      // A solution that is known already stands for its neighbours.
      std::optional<Choices> fresh =
          core_->Fresh(LeastDamage(*core_, model_, DrawLimits()), &random_);
      if (!fresh) return std::nullopt;
      Choices plan = *std::move(fresh);
      const double divergence =
          is_adaptive_ ? model_.Predict({plan})[0].Mean() : model_.Damage(plan);
      const double gain =
          grid.Gain(curve_.At(divergence), core_->PredictedLatencyRatio(plan),
                    core_->PredictedSizeRatio(plan));
      if (best && gain <= most) continue;
      most = gain;
      best = std::move(plan);
    }
    return best;
  }

  const std::unique_ptr<SearchCore> core_;
  const std::string name_;
  const bool is_adaptive_;
  Random random_;
  Archive archive_;
  DivergenceModel model_;
  AccuracyCurve curve_;
  std::vector<Evaluated> fitted_;
  size_t probes_left_;
  bool is_stale_ = true;
};

absl::StatusOr<std::unique_ptr<Agent>> Make(const AgentContext& context,
                                            std::string name,
                                            bool is_adaptive) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<SolverAgent>(std::move(core), std::move(name),
                                       is_adaptive, context.seed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeIlpAgent(
    const AgentContext& context) {
  return Make(context, "ilp", /*is_adaptive=*/false);
}

absl::StatusOr<std::unique_ptr<Agent>> MakeAdaptiveAgent(
    const AgentContext& context) {
  return Make(context, "adaptive", /*is_adaptive=*/true);
}

}  // namespace lathe
