#include "agent/seeded_agent.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "agent/rl_seeds.h"
#include "agent/search_core.h"
#include "base/status.h"

namespace lathe {
namespace {

class SeededAgent : public Agent {
 public:
  SeededAgent(std::unique_ptr<SearchCore> core, std::unique_ptr<Agent> inner)
      : core_(std::move(core)), inner_(std::move(inner)) {
    const std::vector<Choices> seeds =
        MakeSeeds(*core_, SeedCount(core_->context().trials));
    seeds_.assign(seeds.begin(), seeds.end());
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    if (seeds_.empty()) return inner_->Propose();
    const Choices seed = std::move(seeds_.front());
    seeds_.pop_front();
    return core_->Propose(seed, "seed");
  }

  void Learn(const v1::Trial& trial) override { inner_->Learn(trial); }

  void Dismiss(const v1::Trial& trial) override { inner_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return inner_->Evaluate(trial);
  }

 private:
  const std::unique_ptr<SearchCore> core_;
  const std::unique_ptr<Agent> inner_;
  std::deque<Choices> seeds_;
};

}  // namespace

size_t SeedCount(int64_t trials) {
  return static_cast<size_t>(std::clamp<double>(
      kSeedShare * static_cast<double>(trials), kFewestSeeds, kMostSeeds));
}

absl::StatusOr<std::unique_ptr<Agent>> MakeSeeded(
    const AgentContext& context, std::unique_ptr<Agent> inner) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<SeededAgent>(std::move(core), std::move(inner));
}

}  // namespace lathe
