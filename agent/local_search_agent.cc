// localsearch: Pareto local search (Paquete et al. 2004): an unknown neighbour
// of a plan that nothing dominates, one decision moved by one step. Starts from
// random plans, unless others (seeds) are there.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/archive.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Random plans to begin with, as a share of the trials, and the fewest.
constexpr double kFirstShare = 0.1;
constexpr size_t kFewestFirst = 5;

class LocalSearchAgent : public Agent {
 public:
  LocalSearchAgent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)),
        random_(seed),
        archive_(core_.get()),
        first_(std::max(
            kFewestFirst,
            static_cast<size_t>(kFirstShare * core_->context().trials))) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("localsearch"));
    // One of the archive's rows is the uncompressed model.
    const bool is_first =
        proposals_++ < first_ && archive_.rows().size() <= first_;
    Choices wanted = is_first ? core_->RandomPlan(core_->limits(), 0, &random_)
                              : Neighbour();
    std::optional<Choices> plan = core_->Fresh(std::move(wanted), &random_);
    if (!plan) {
      return absl::OutOfRangeError(
          "localsearch: every plan within the budget was proposed");
    }
    return core_->Propose(
        *plan, is_first ? "localsearch/first" : "localsearch/neighbour");
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (choices) archive_.Add(lathe::Evaluate(*core_, trial, *choices));
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  Choices Neighbour() {
    // An elite whose neighbours are all known is left for another.
    constexpr int kTries = 64;
    const std::vector<int>& elites = archive_.elites();
    Choices plan;
    for (int i = 0; i < kTries; ++i) {
      plan = archive_
                 .rows()[elites[random_.Below(static_cast<int>(elites.size()))]]
                 .choices;
      if (plan.empty()) break;
      const int d = random_.Below(static_cast<int>(plan.size()));
      const int step = random_.Uniform() < 0.5 ? -1 : 1;
      plan[d] = std::clamp(plan[d] + step, 0,
                           core_->space().decisions()[d].count - 1);
      if (!core_->IsKnown(plan) && core_->IsWithin(plan, core_->limits())) {
        break;
      }
    }
    return plan;
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  Archive archive_;
  const size_t first_;
  size_t proposals_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeLocalSearchAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<LocalSearchAgent>(std::move(core), context.seed);
}

}  // namespace lathe
