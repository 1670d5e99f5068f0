// greedy: measures what single choices cost (in quality) and then takes, from
// the uncompressed model on, always the step that loses least per latency
// saved. Proposes the plans along that path, then neighbours of the best.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/archive.h"
#include "agent/search_core.h"
#include "agent/sensitivity_table.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Share of the trials that may go into single changes.
constexpr double kSensitivityShare = 0.4;

// Plans of the path whose costs differ by less are not both worth a trial.
constexpr double kPathSpacing = 0.01;

class GreedyAgent : public Agent {
 public:
  GreedyAgent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)),
        random_(seed),
        archive_(core_.get()),
        table_(&core_->space()),
        changes_(UsefulChanges(
            *core_, static_cast<size_t>(std::max(
                        1.0, kSensitivityShare * core_->context().trials)))) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    if (std::optional<v1::Proposal> probe = NextProbe()) return *probe;
    if (std::optional<Choices> plan = NextOfPath()) {
      return core_->Propose(*plan, "greedy/path");
    }
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("greedy"));
    const std::optional<Choices> plan = Neighbour();
    if (!plan.has_value()) {
      return absl::OutOfRangeError(
          "greedy: every plan within the budget was proposed");
    }
    return core_->Propose(*plan, "greedy/refine");
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices.has_value()) return;
    const Evaluated row = lathe::Evaluate(*core_, trial, *choices);
    if (const std::optional<SingleChange> change = AsSingle(*choices)) {
      table_.Set(*change, -row.quality);
    }
    archive_.Add(row);
    path_is_stale_ = true;
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  // A single change whose loss is not known yet. These are probes, not
  // answers, and so they may exceed the job's budget.
  std::optional<v1::Proposal> NextProbe() {
    for (; next_change_ < changes_.size(); ++next_change_) {
      Choices probe(core_->space().size(), 0);
      probe[changes_[next_change_].decision] = changes_[next_change_].choice;
      if (!core_->IsKnown(probe)) {
        return core_->Propose(probe, "greedy/sensitivity");
      }
    }
    return std::nullopt;
  }

  static std::optional<SingleChange> AsSingle(const Choices& choices) {
    std::optional<SingleChange> single;
    for (size_t d = 0; d < choices.size(); ++d) {
      if (choices[d] == 0) continue;
      if (single.has_value()) return std::nullopt;
      single = SingleChange{static_cast<int>(d), choices[d]};
    }
    return single;
  }

  // The change of `plan` with the best saved cost per quality lost, or nothing
  // when none saves cost.
  std::optional<SingleChange> BestStep(const Choices& plan) const {
    // A change that loses nothing still competes by what it saves.
    constexpr double kLeastLoss = 1e-5;
    std::optional<SingleChange> best;
    double best_ratio = 0;
    const double cost = PredictedCost(*core_, plan);
    Choices changed = plan;
    for (int d = 0; d < core_->space().size(); ++d) {
      for (int c = 0; c < core_->space().decisions()[d].count; ++c) {
        if (c == plan[d]) continue;
        changed[d] = c;
        const double saved = cost - PredictedCost(*core_, changed);
        const double lost = table_.Loss(d, c) - table_.Loss(d, plan[d]);
        const double ratio = saved / std::max(kLeastLoss, lost);
        if (saved > 1e-6 && ratio > best_ratio) {
          best_ratio = ratio;
          best = SingleChange{d, c};
        }
      }
      changed[d] = plan[d];
    }
    return best;
  }

  void WalkPath() {
    path_.clear();
    Choices plan(core_->space().size(), 0);
    while (const std::optional<SingleChange> step = BestStep(plan)) {
      plan[step->decision] = step->choice;
      path_.push_back(plan);
    }
    path_is_stale_ = false;
  }

  // The unknown plan of the path that lies farthest, in cost, from those that
  // were proposed from it; the first within the limits to begin with.
  std::optional<Choices> NextOfPath() {
    if (path_is_stale_) WalkPath();
    const Choices* farthest = nullptr;
    double most = kPathSpacing;
    for (const Choices& plan : path_) {
      if (core_->IsKnown(plan) || !core_->IsWithin(plan, core_->limits())) {
        continue;
      }
      const double cost = PredictedCost(*core_, plan);
      double distance = std::numeric_limits<double>::infinity();
      for (const double other : path_costs_) {
        distance = std::min(distance, std::abs(cost - other));
      }
      if (distance > most) {
        most = distance;
        farthest = &plan;
      }
    }
    if (farthest == nullptr) return std::nullopt;
    path_costs_.push_back(PredictedCost(*core_, *farthest));
    return *farthest;
  }

  // An unknown plan beside one of the best, these in turn: the step forward
  // from it that the table likes best, else a small random change.
  std::optional<Choices> Neighbour() {
    const std::vector<int>& elites = archive_.elites();
    Choices plan = archive_.rows()[elites[turn_++ % elites.size()]].choices;
    if (const std::optional<SingleChange> step = BestStep(plan)) {
      Choices forward = plan;
      forward[step->decision] = step->choice;
      if (!core_->IsKnown(forward) &&
          core_->IsWithin(forward, core_->limits())) {
        return forward;
      }
    }
    return core_->Fresh(plan, &random_);
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  Archive archive_;
  SensitivityTable table_;
  const std::vector<SingleChange> changes_;
  size_t next_change_ = 0;
  std::vector<Choices> path_;
  bool path_is_stale_ = true;
  std::vector<double> path_costs_;
  size_t turn_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeGreedyAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<GreedyAgent>(std::move(core), context.seed);
}

}  // namespace lathe
