// uniform: what one gets without a search, all layers treated alike. The
// simplest strategy that another one has to beat.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "agent/search_core.h"
#include "agent/strategies.h"
#include "agent/uniform_plans.h"
#include "base/status.h"

namespace lathe {
namespace {

// 0, n-1, then the middles of what is left: any beginning of the order covers
// the whole range.
std::vector<int> CoarseToFine(int n) {
  std::vector<int> order = {0};
  if (n > 1) order.push_back(n - 1);
  for (int step = n; step > 0; step /= 2) {
    for (int i = step / 2; i < n; i += std::max(1, step)) {
      if (std::find(order.begin(), order.end(), i) == order.end()) {
        order.push_back(i);
      }
    }
  }
  for (int i = 0; i < n; ++i) {
    if (std::find(order.begin(), order.end(), i) == order.end()) {
      order.push_back(i);
    }
  }
  return order;
}

class UniformAgent : public Agent {
 public:
  explicit UniformAgent(std::unique_ptr<SearchCore> core)
      : core_(std::move(core)) {
    const std::vector<v1::PrecisionOption> options = AllOptions(core_->space());
    const std::vector<double> ratios = AllKeepRatios(core_->space());
    for (const int r : CoarseToFine(static_cast<int>(ratios.size()))) {
      for (const v1::PrecisionOption& option : options) {
        grid_.push_back(UniformPlan(core_->space(), option.precision(),
                                    option.weight_bits(), ratios[r]));
      }
    }
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    for (; next_ < grid_.size(); ++next_) {
      const Choices& plan = grid_[next_];
      if (core_->IsKnown(plan) || !core_->IsWithin(plan, core_->limits())) {
        continue;
      }
      return core_->Propose(plan, "uniform/grid");
    }
    return absl::OutOfRangeError(
        "uniform: every uniform plan within the budget was proposed");
  }

  void Learn(const v1::Trial& trial) override { core_->Learn(trial); }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  const std::unique_ptr<SearchCore> core_;
  std::vector<Choices> grid_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeUniformAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<UniformAgent>(std::move(core));
}

}  // namespace lathe
