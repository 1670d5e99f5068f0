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
    seeds_left_ = SeedCount(core_->context().trials);
    Seed();
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    // As `rl` does: what the first seeds have shown may make others useful.
    if (seeds_.empty() && !std::exchange(is_reseeded_, true)) Seed();
    while (!seeds_.empty()) {
      const Choices seed = std::move(seeds_.front());
      seeds_.pop_front();
      if (!core_->IsKnown(seed)) return core_->Propose(seed, "seed");
    }
    return inner_->Propose();
  }

  void Learn(const v1::Trial& trial) override {
    core_->Learn(trial);
    inner_->Learn(trial);
  }

  void Dismiss(const v1::Trial& trial) override {
    core_->Dismiss(trial);
    inner_->Dismiss(trial);
  }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return inner_->Evaluate(trial);
  }

 private:
  void Seed() {
    const std::vector<Choices> seeds = MakeSeeds(*core_, seeds_left_);
    seeds_.assign(seeds.begin(), seeds.end());
    seeds_left_ -= std::min(seeds_left_, seeds.size());
  }

  const std::unique_ptr<SearchCore> core_;
  const std::unique_ptr<Agent> inner_;
  std::deque<Choices> seeds_;
  size_t seeds_left_ = 0;
  bool is_reseeded_ = false;
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
