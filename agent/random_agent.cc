// random: legal plans by chance, spread over the latencies that can be
// reached. What a strategy must beat to show that it learns.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

class RandomAgent : public Agent {
 public:
  RandomAgent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)), random_(seed) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("random"));
    // Choices drawn alike from all would crowd at middle latencies: a limit
    // drawn alike from what is reachable spreads them below, a share of
    // untouched layers drawn alike spreads them above.
    Limits limits = core_->limits();
    const double least = core_->reachability().least_us();
    const double most = std::min(core_->costs().baseline_us(), limits.us);
    if (most > least) {
      limits.us = least + (most - least) * random_.Uniform();
    }
    const Choices drawn =
        core_->RandomPlan(limits, /*mildness=*/random_.Uniform(), &random_);
    const std::optional<Choices> plan = core_->Fresh(drawn, &random_);
    if (!plan.has_value()) {
      return absl::OutOfRangeError(
          "random: every plan within the budget was proposed");
    }
    return core_->Propose(*plan, "random");
  }

  void Learn(const v1::Trial& trial) override { core_->Learn(trial); }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  const std::unique_ptr<SearchCore> core_;
  Random random_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeRandomAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<RandomAgent>(std::move(core), context.seed);
}

}  // namespace lathe
