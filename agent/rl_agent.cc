// rl: a budget-conditioned DDPG policy in the manner of HAQ (Wang et al. 2019)
// and AMC (He et al. 2018), with what they lack: budgets are masked instead of
// clipped afterwards, so that what is learnt from is what was executed; every
// trial teaches every budget it meets; a surrogate fitted to the trials says
// what each step is worth and which of many proposals is worth a trial.
//
// A round: draw a budget where the frontier has gaps; let four proposers
// suggest plans for it (the policy, elites partly re-drawn by the policy,
// children of two elites, the exact solver of the surrogate); a bandit says
// whose turn it is; of its plans the one with the largest predicted gain of
// area, by a randomly drawn member of the surrogate, is proposed; where none
// of them gains, the solver's best. (The largest gain over all proposers is not
// taken: it is where the surrogate is most wrong.)
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/additive_solver.h"
#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/ddpg_learner.h"
#include "agent/policy.h"
#include "agent/proposer_bandit.h"
#include "agent/quality_model.h"
#include "agent/rl_seeds.h"
#include "agent/rl_teacher.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/numeric.h"
#include "base/status.h"

namespace lathe {
namespace {

// Share of the trials that seeds may take, and the fewest and most of them.
constexpr double kSeedShare = 0.25;
constexpr int kFewestSeeds = 6;
constexpr int kMostSeeds = 120;
// Random plans after the seeds, as a share of the trials.
constexpr double kRandomShare = 0.03;

// Plans that each proposer suggests in a round.
constexpr int kPolicyPlans = 16;
constexpr int kElitePlans = 8;
constexpr int kChildren = 8;
constexpr int kSolverPlans = 3;

// Exploration: standard deviation of the actor's noise at the first and the
// last trial.
constexpr double kFirstSigma = 0.5;
constexpr double kLastSigma = 0.05;

enum Proposer { kPolicy, kElite, kChild, kSolver, kProposerCount };
constexpr const char* kProposerNames[] = {"policy", "elite", "child", "solver"};

class RlAgent : public Agent {
 public:
  explicit RlAgent(std::unique_ptr<SearchCore> core)
      : core_(std::move(core)),
        random_(MixSeed(core_->context().seed, 1)),
        archive_(core_.get()),
        quality_(&core_->space()),
        grid_(*core_),
        features_(core_.get(), &quality_),
        learner_(features_.size(), MixSeed(core_->context().seed, 2)),
        policy_(core_.get(), &quality_, &learner_),
        teacher_(core_.get(), &archive_, &quality_, &grid_, &policy_,
                 &learner_),
        bandit_(kProposerCount) {
    const double trials = static_cast<double>(core_->context().trials);
    const std::vector<Choices> seeds =
        MakeSeeds(*core_, static_cast<size_t>(std::clamp<double>(
                              kSeedShare * trials, kFewestSeeds, kMostSeeds)));
    seeds_.assign(seeds.begin(), seeds.end());
    random_plans_ = static_cast<int>(std::lround(kRandomShare * trials));
    const Evaluated baseline = EvaluatedBaseline(*core_);
    grid_.Add(baseline.quality, baseline.latency_ratio, baseline.size_ratio);
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    while (!seeds_.empty()) {
      const Choices seed = std::move(seeds_.front());
      seeds_.pop_front();
      if (!core_->IsKnown(seed) && core_->IsWithin(seed, core_->limits())) {
        return Make(seed, "rl/seed", std::nullopt);
      }
    }
    if (random_plans_ > 0) {
      --random_plans_;
      return MakeFresh(
          core_->RandomPlan(DrawLimits(), random_.Uniform(), &random_),
          "rl/random", std::nullopt);
    }
    return ProposeBest();
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices.has_value()) return;
    const Evaluated row = lathe::Evaluate(*core_, trial, *choices);
    Credit(row);
    archive_.Add(row);
    // Fitting costs in proportion to the rows: ever rarer, so that the time
    // per trial stays bounded.
    if (++rows_since_fit_ > static_cast<int>(archive_.rows().size()) / 200) {
      quality_.Fit(archive_.rows(), &random_);
      rows_since_fit_ = 0;
    }
    teacher_.Teach(&random_);
  }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  // What is known of a plan that was proposed and not yet learned.
  struct Pending {
    std::optional<Proposer> proposer;
    double quality = 0;
    double latency_ratio = 0;
    double size_ratio = 0;
  };
  struct Suggestion {
    Choices plan;
    Proposer proposer = kPolicy;
    double score = 0;
  };

  v1::Proposal Make(const Choices& plan, const std::string& source,
                    std::optional<Proposer> proposer) {
    Pending& pending = pending_[plan];
    pending.proposer = proposer;
    pending.quality = quality_.Quality(plan, 0);
    pending.latency_ratio = core_->PredictedLatencyRatio(plan);
    pending.size_ratio = core_->PredictedSizeRatio(plan);
    v1::Proposal proposal = core_->Propose(plan, source);
    proposal.set_explanation(absl::StrFormat(
        "predicted: latency ratio %.3f, size ratio %.3f, quality %.4f",
        pending.latency_ratio, pending.size_ratio, pending.quality));
    return proposal;
  }

  absl::StatusOr<v1::Proposal> MakeFresh(const Choices& plan,
                                         const std::string& source,
                                         std::optional<Proposer> proposer) {
    const std::optional<Choices> fresh = core_->Fresh(plan, &random_);
    if (!fresh.has_value()) {
      return absl::OutOfRangeError(
          "rl: every plan within the budget was proposed");
    }
    return Make(*fresh, source, proposer);
  }

  EpisodeBudget DrawBudget() {
    const BudgetGrid::Point& point = grid_.Draw(&random_);
    return {point.latency_ratio, point.size_ratio};
  }

  Limits ToLimits(const EpisodeBudget& budget) const {
    return {std::min(core_->limits().us,
                     budget.latency_ratio * core_->costs().baseline_us()),
            std::min(core_->limits().bytes,
                     budget.size_ratio * core_->costs().baseline_bytes())};
  }
  Limits DrawLimits() { return ToLimits(DrawBudget()); }

  double Sigma() const {
    const double progress =
        static_cast<double>(archive_.rows().size()) /
        std::max<double>(1, static_cast<double>(core_->context().trials));
    return kFirstSigma *
           std::pow(kLastSigma / kFirstSigma, std::min(1.0, progress));
  }

  absl::StatusOr<v1::Proposal> ProposeBest() {
    if (core_->space().size() == 0) {
      return absl::OutOfRangeError("rl: the search space has no layers");
    }
    const EpisodeBudget budget = DrawBudget();
    // One plausible model of the truth, for the whole round (Thompson).
    const int member = random_.Below(QualityModel::kMembers);
    std::vector<Suggestion> suggestions = Suggest(budget, member);
    const BudgetGrid grid = GridWithPending();
    for (Suggestion& s : suggestions) s.score = Score(s.plan, member, grid);
    const int turn = bandit_.Draw(&random_);
    const Suggestion* best = nullptr;
    for (const Suggestion& s : suggestions) {
      const auto key = [turn](const Suggestion& x) {
        return std::make_tuple(
            static_cast<int>(x.proposer) == turn && x.score > 0,
            x.proposer == kSolver, x.score);
      };
      if (best == nullptr || key(s) > key(*best)) best = &s;
    }
    if (best == nullptr) {
      return MakeFresh(core_->RandomPlan(ToLimits(budget), 0, &random_),
                       "rl/random", std::nullopt);
    }
    return Make(best->plan, absl::StrCat("rl/", kProposerNames[best->proposer]),
                best->proposer);
  }

  // Unknown plans within the limits.
  std::vector<Suggestion> Suggest(const EpisodeBudget& budget, int member) {
    std::vector<Suggestion> suggestions;
    const auto add = [&](Choices plan, Proposer proposer) {
      if (proposer == kPolicy || proposer == kElite)
        teacher_.RememberDrawn(plan, budget);
      if (core_->IsKnown(plan) || !core_->IsWithin(plan, core_->limits())) {
        return;
      }
      suggestions.push_back({std::move(plan), proposer, 0});
    };
    // From the bare policy to the full exploration.
    std::vector<double> sigmas;
    for (int i = 0; i < kPolicyPlans; ++i) {
      sigmas.push_back(Sigma() * i / (kPolicyPlans - 1));
    }
    for (Choices& plan : policy_.Draw(budget, sigmas, &random_)) {
      add(std::move(plan), kPolicy);
    }
    for (int i = 0; i < kElitePlans; ++i) add(MutatedElite(budget), kElite);
    for (int i = 0; i < kChildren; ++i) add(Child(budget), kChild);
    for (int i = 0; i < kSolverPlans; ++i) {
      const EpisodeBudget asked = i == 0 ? budget : DrawBudget();
      Choices solved = LeastDamage(*core_, quality_, member, ToLimits(asked));
      teacher_.RememberSolved(solved, asked);
      if (core_->IsKnown(solved)) {
        std::optional<Choices> fresh = core_->Fresh(solved, &random_);
        if (!fresh.has_value()) continue;
        solved = *std::move(fresh);
      }
      add(std::move(solved), kSolver);
    }
    return suggestions;
  }

  // Predicted gain of area; where there is none, how far (negative) the plan
  // stays below the frontier.
  double Score(const Choices& plan, int member, const BudgetGrid& grid) const {
    const double quality = quality_.Quality(plan, member);
    const double latency = core_->PredictedLatencyRatio(plan);
    const double size = core_->PredictedSizeRatio(plan);
    const double gain = grid.Gain(quality, latency, size);
    return gain > 0 ? gain : quality - grid.BestWithin(latency, size);
  }

  BudgetGrid GridWithPending() const {
    BudgetGrid grid = grid_;
    for (const auto& [plan, pending] : pending_) {
      grid.Add(pending.quality, pending.latency_ratio, pending.size_ratio);
    }
    return grid;
  }

  // An elite, likelier the nearer its cost is to the budget.
  const Choices& DrawElite(const EpisodeBudget& budget) {
    constexpr double kNear = 0.05;
    std::vector<double> weights;
    for (const int i : archive_.elites()) {
      const Evaluated& row = archive_.rows()[i];
      double distance = 0;
      if (std::isfinite(budget.latency_ratio)) {
        distance += std::abs(row.latency_ratio - budget.latency_ratio);
      }
      if (std::isfinite(budget.size_ratio)) {
        distance += std::abs(row.size_ratio - budget.size_ratio);
      }
      weights.push_back(1 / (kNear + distance));
    }
    return archive_.rows()[archive_.elites()[random_.Weighted(weights)]]
        .choices;
  }

  Choices MutatedElite(const EpisodeBudget& budget) {
    const Choices& elite = DrawElite(budget);
    // One decision on average half the time, a quarter of them otherwise.
    const double share = random_.Uniform() < 0.5
                             ? 1.5 / std::max<size_t>(1, elite.size())
                             : 0.25;
    std::vector<bool> is_free(elite.size());
    for (size_t d = 0; d < is_free.size(); ++d) {
      is_free[d] = random_.Uniform() < share;
    }
    return policy_.Redraw(elite, is_free, budget, std::max(0.2, Sigma()),
                          &random_);
  }

  Choices Child(const EpisodeBudget& budget) {
    const Choices mother = DrawElite(budget);
    Choices child = DrawElite(budget);
    // A run of decisions from one parent keeps neighbouring layers together.
    const int size = core_->space().size();
    const int from = random_.Below(size);
    const int length = random_.Below(size);
    for (int i = 0; i < length; ++i) {
      child[(from + i) % size] = mother[(from + i) % size];
    }
    const int mutated = random_.Below(size);
    const int count = core_->space().decisions()[mutated].count;
    child[mutated] = std::clamp(
        child[mutated] + (random_.Uniform() < 0.5 ? -1 : 1), 0, count - 1);
    return child;
  }

  // Adds a result to the grid and tells the bandit what it gained.
  void Credit(const Evaluated& row) {
    double gain = 0;
    if (row.is_feasible) {
      gain = grid_.Gain(row.quality, row.latency_ratio, row.size_ratio);
      grid_.Add(row.quality, row.latency_ratio, row.size_ratio);
    }
    const auto it = pending_.find(row.choices);
    if (it == pending_.end()) return;
    if (it->second.proposer.has_value()) {
      bandit_.Credit(*it->second.proposer, gain);
    }
    pending_.erase(it);
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  Archive archive_;
  QualityModel quality_;
  BudgetGrid grid_;
  const StateFeatures features_;
  DdpgLearner learner_;
  const Policy policy_;
  RlTeacher teacher_;
  ProposerBandit bandit_;
  std::deque<Choices> seeds_;
  int random_plans_ = 0;
  std::map<Choices, Pending> pending_;
  int rows_since_fit_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeRlAgent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<RlAgent>(std::move(core));
}

}  // namespace lathe
