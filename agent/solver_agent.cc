// ilp: a sensitivity table, then for each of many budgets the plan of the least
// sum of damages, solved exactly (HAWQ-V3, Yao et al. 2021, solves the same as
// an integer linear programme). What plans turn out to be changes nothing.
//
// adaptive: the same table and solver, but damages are fitted anew to all
// trials, and of the solutions for many budgets the one with the largest
// expected gain of volume under the frontier is proposed.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/search_core.h"
#include "agent/single_probes.h"
#include "agent/solver_plans.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Share of the trials that the sensitivity table may take.
constexpr double kTableShare = 0.4;

class SolverAgent : public Agent {
 public:
  SolverAgent(std::unique_ptr<SearchCore> core, std::string name,
              bool is_adaptive, uint64_t seed)
      : core_(std::move(core)),
        name_(std::move(name)),
        plans_(core_.get(), is_adaptive, seed),
        probes_(core_.get(), kTableShare) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    if (const std::optional<Choices> probe = probes_.Next()) {
      return core_->Propose(*probe, absl::StrCat(name_, "/sensitivity"));
    }
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft(name_));
    const std::optional<Choices> plan = plans_.Next();
    if (!plan) {
      return absl::OutOfRangeError(
          absl::StrCat(name_, ": every plan within the budget was proposed"));
    }
    return core_->Propose(*plan, absl::StrCat(name_, "/solver"));
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (choices) plans_.Add(lathe::Evaluate(*core_, trial, *choices));
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  const std::unique_ptr<SearchCore> core_;
  const std::string name_;
  SolverPlans plans_;
  SingleProbes probes_;
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
