#include "agent/seeded_agent.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/search_core.h"
#include "agent/seed_queue.h"
#include "agent/solver_plans.h"
#include "base/status.h"

namespace lathe {
namespace {

// Of the solver's plans: the most, and as a share of the trials.
constexpr int64_t kMostSolved = 32;
constexpr double kSolvedShare = 0.12;

class SeededAgent : public Agent {
 public:
  SeededAgent(std::unique_ptr<SearchCore> core, std::unique_ptr<Agent> inner)
      : core_(std::move(core)),
        inner_(std::move(inner)),
        plans_(core_.get(), /*is_adaptive=*/true, core_->context().seed),
        seeds_(core_.get(), &plans_.archive(), &plans_.model(),
               /*has_solver=*/true),
        solved_left_(std::min(
            kMostSolved,
            static_cast<int64_t>(
                kSolvedShare * static_cast<double>(core_->context().trials)))) {
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    plans_.Fit();
    if (const std::optional<SeedQueue::Seed> seed = seeds_.Next()) {
      return core_->Propose(seed->plan, "seed");
    }
    if (solved_left_ > 0) {
      --solved_left_;
      if (const std::optional<Choices> plan = plans_.Next()) {
        return core_->Propose(*plan, "seed/solver");
      }
    }
    return inner_->Propose();
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (choices) plans_.Add(lathe::Evaluate(*core_, trial, *choices));
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
  const std::unique_ptr<SearchCore> core_;
  const std::unique_ptr<Agent> inner_;
  SolverPlans plans_;
  SeedQueue seeds_;
  int64_t solved_left_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeSeeded(
    const AgentContext& context, std::unique_ptr<Agent> inner) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<SeededAgent>(std::move(core), std::move(inner));
}

}  // namespace lathe
