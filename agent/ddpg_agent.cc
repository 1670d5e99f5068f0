// haq, amc: reinforcement learning as published, one DDPG search for each of a
// few budgets, which take turns (ddpg_method.h says what each paper prescribes
// and where this differs). Nothing is carried from one budget to another, and
// nothing but measured rewards is learnt from.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/budget_ddpg.h"
#include "agent/ddpg_method.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/numeric.h"
#include "base/status.h"

namespace lathe {
namespace {

// Trials that one budget needs for more than its warm-up.
constexpr int64_t kTrialsPerBudget = 50;
constexpr int64_t kMostBudgets = 6;

class DdpgAgent : public Agent {
 public:
  DdpgAgent(std::unique_ptr<SearchCore> core, const DdpgMethod* method)
      : core_(std::move(core)),
        method_(*method),
        random_(MixSeed(core_->context().seed, 1)) {
    const RelativeBudget& budget = core_->objective().budget();
    const int64_t trials = std::max<int64_t>(1, core_->context().trials);
    const bool has_budget = budget.latency_ratio || budget.size_ratio;
    const int count = static_cast<int>(
        has_budget
            ? 1
            : std::clamp<int64_t>(trials / kTrialsPerBudget, 1, kMostBudgets));
    for (int i = 0; i < count; ++i) {
      // With a budget the job's own limits are what binds.
      const double looseness = has_budget ? 1 : (i + 0.5) / count;
      searches_.push_back(std::make_unique<BudgetDdpg>(
          core_.get(), &method_, looseness, static_cast<int>(trials / count),
          MixSeed(core_->context().seed, 2 + i)));
    }
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft(method_.name));
    const size_t turn = proposals_++ % searches_.size();
    std::optional<Choices> plan;
    if (core_->space().size() > 0) {
      plan = core_->Fresh(searches_[turn]->Roll(&random_), &random_);
    }
    if (!plan) {
      return absl::OutOfRangeError(absl::StrCat(
          method_.name, ": every plan within the budget was proposed"));
    }
    searches_[turn]->Execute(*plan);
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
  Random random_;
  size_t proposals_ = 0;
  std::vector<std::unique_ptr<BudgetDdpg>> searches_;
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
