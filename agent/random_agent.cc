// random: every choice drawn alike from those that leave the job's budget
// within reach. What a strategy must beat to show that it learns.
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
    const Choices drawn =
        core_->RandomPlan(core_->limits(), /*mildness=*/0, &random_);
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
