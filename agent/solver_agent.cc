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
#include "agent/budget_solutions.h"
#include "agent/divergence_model.h"
#include "agent/search_core.h"
#include "agent/single_probes.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Share of the trials that the sensitivity table may take.
constexpr double kTableShare = 0.4;

// Budgets that are solved for in a round.
constexpr int kBudgets = 24;

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
        probes_(core_.get(), kTableShare) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    if (const std::optional<Choices> probe = probes_.Next()) {
      return core_->Propose(*probe, absl::StrCat(name_, "/sensitivity"));
    }
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft(name_));
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
    if (is_adaptive_ || AsSingleChange(*choices)) fitted_.push_back(row);
    is_stale_ = true;
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  void Refit() {
    std::vector<Evaluated> rows = {EvaluatedBaseline(*core_)};
    rows.insert(rows.end(), fitted_.begin(), fitted_.end());
    model_.Fit(rows);
    curve_.Fit(archive_.rows());
    is_stale_ = false;
  }

  std::optional<Choices> BestSolution() {
    if (is_stale_) Refit();
    return MostGainingSolution(
        *core_, archive_, curve_, kBudgets,
        [this](const Limits& limits) {
          return LeastDamage(*core_, model_, limits);
        },
        [this](const Choices& plan) {
          return is_adaptive_ ? model_.Predict({plan})[0].Mean()
                              : model_.Damage(plan);
        },
        &random_);
  }

  const std::unique_ptr<SearchCore> core_;
  const std::string name_;
  const bool is_adaptive_;
  Random random_;
  Archive archive_;
  DivergenceModel model_;
  AccuracyCurve curve_;
  std::vector<Evaluated> fitted_;
  SingleProbes probes_;
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
