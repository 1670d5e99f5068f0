// haq, amc: reinforcement learning as published, DDPG for a budget or, where a
// job has none, for a few that take turns (ddpg_method.h says what each paper
// prescribes and where this differs). Nothing but measured rewards is learnt
// from.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/ddpg_method.h"
#include "agent/ddpg_search.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/numeric.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr int kMostBudgets = 6;

// Trials that a budget with networks of its own needs for more than its
// warm-up.
constexpr int kTrialsPerBudget = 50;

bool HasBudget(const SearchCore& core) {
  const RelativeBudget& budget = core.objective().budget();
  return budget.latency_ratio || budget.size_ratio;
}

// Budgets that share a job's trials.
int BudgetCount(const SearchCore& core, const DdpgMethod& method) {
  if (HasBudget(core)) return 1;
  if (method.shares_networks()) return kMostBudgets;
  return static_cast<int>(std::clamp<int64_t>(
      core.context().trials / kTrialsPerBudget, 1, kMostBudgets));
}

class DdpgAgent : public Agent {
 public:
  DdpgAgent(std::unique_ptr<SearchCore> core, const DdpgMethod* method)
      : core_(std::move(core)),
        method_(*method),
        budgets_(BudgetCount(*core_, *method)),
        random_(MixSeed(core_->context().seed, 1)) {
    const int count = method_.shares_networks() ? 1 : budgets_;
    const int64_t trials = std::max<int64_t>(1, core_->context().trials);
    for (int i = 0; i < count; ++i) {
      searches_.push_back(std::make_unique<DdpgSearch>(
          core_.get(), &method_, static_cast<int>(trials / count),
          MixSeed(core_->context().seed, 2 + i)));
    }
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft(method_.name));
    const int turn = static_cast<int>(proposals_++ % budgets_);
    // With a budget the job's own limits are what binds.
    const double looseness = HasBudget(*core_) ? 1 : (turn + 0.5) / budgets_;
    DdpgSearch& search = *searches_[turn % searches_.size()];
    std::optional<Choices> plan;
    if (core_->space().size() > 0) {
      plan = core_->Fresh(search.Roll(looseness, &random_), &random_);
    }
    if (!plan) {
      return absl::OutOfRangeError(absl::StrCat(
          method_.name, ": every plan within the budget was proposed"));
    }
    search.Execute(looseness, *plan);
    return core_->Propose(*plan, absl::StrCat(method_.name, "/budget-", turn));
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices) return;
    const double reward = method_.Reward(core_->context().baseline, trial);
    for (const auto& search : searches_) {
      search->Reward(*choices, reward, &random_);
    }
  }

  void Dismiss(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Dismiss(trial);
    if (!choices) return;
    for (const auto& search : searches_) search->Drop(*choices);
  }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  const std::unique_ptr<SearchCore> core_;
  const DdpgMethod& method_;
  const int budgets_;
  Random random_;
  size_t proposals_ = 0;
  std::vector<std::unique_ptr<DdpgSearch>> searches_;
};

absl::StatusOr<std::unique_ptr<Agent>> Make(const AgentContext& context,
                                            const DdpgMethod* method) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<DdpgAgent>(std::move(core), method);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeHaqAgent(
    const AgentContext& context) {
  return Make(context, &DdpgMethod::Haq());
}

absl::StatusOr<std::unique_ptr<Agent>> MakeAmcAgent(
    const AgentContext& context) {
  return Make(context, &DdpgMethod::Amc());
}

}  // namespace lathe
