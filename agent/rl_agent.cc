// rl: a budget-conditioned categorical policy on a relabelled archive. Budgets
// are masked, so that what is learnt from is what was executed; every trial
// teaches every budget it meets; a surrogate fitted to the trials says which of
// many proposals is worth a trial, and what imagined plans are worth to the
// policy.
//
// A round: proposers suggest plans (the policy for a budget where the frontier
// has gaps; elites partly re-drawn by the policy; children of elites; the exact
// solver of the sums of damages). Of all, the one with the largest gain of
// volume under the frontier, by what the model optimistically believes, is
// proposed; now and then a bandit says whose turn it is instead, so that no
// proposer is judged by its predictions alone.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/choice_network.h"
#include "agent/divergence_model.h"
#include "agent/feasibility.h"
#include "agent/plan_outlook.h"
#include "agent/policy.h"
#include "agent/policy_answer.h"
#include "agent/policy_teacher.h"
#include "agent/proposer_bandit.h"
#include "agent/proposers.h"
#include "agent/rl_parts.h"
#include "agent/search_core.h"
#include "agent/seed_queue.h"
#include "agent/sensitivity_rows.h"
#include "agent/state_archive.h"
#include "agent/strategies.h"
#include "base/numeric.h"
#include "base/status.h"
#include "proto/confirmation.h"

namespace lathe {
namespace {

// Share of the rounds in which the bandit decides.
constexpr double kBanditShare = 0.15;

// Where no suggestion seems to gain as much, as a share of the volume in
// question, one hopes for more, up to so many standard deviations: else all
// that is left would go to plans that answer as the original does and differ in
// the fourth decimal of a divergence. Where latencies scatter about their
// predictions by less than the least share, such decimals can be had.
constexpr double kLeastGain = 2e-5;
constexpr double kMostOptimism = 4;
constexpr double kLeastScatter = 0.005;

// Random plans to start from where there are neither seeds nor as many trials
// of others.
constexpr size_t kFirstPlans = 10;

// Fitting costs in proportion to the rows, and is done when there are more of
// them by one in so many, so that the time per trial stays bounded. A first
// look takes a fiftieth of a measurement: what is thought about it has to take
// less, too.
constexpr int kMeasurementsPerFit = 200;
constexpr int kLooksPerFit = 24;

// The form of snapshots; any change of it needs another name.
constexpr absl::string_view kSnapshotForm = "lathe rl 5";

class RlAgent : public Agent {
 public:
  RlAgent(std::unique_ptr<SearchCore> core, const RlParts& parts)
      : parts_(parts),
        core_(std::move(core)),
        random_(MixSeed(core_->context().seed, 1)),
        archive_(core_.get()),
        singles_(SensitivityRows(*core_)),
        feasibility_(&core_->space()),
        model_(&core_->space(), core_->context().baseline.kl_divergence()),
        grid_(*core_),
        network_(Policy::FeatureSize(), MixSeed(core_->context().seed, 2)),
        policy_(core_.get(), &model_, &grid_, &network_, parts.has_masks),
        teacher_(&archive_, &model_, &policy_, &network_),
        proposers_(&parts_, core_.get(), &archive_, &model_, &curve_, &grid_,
                   &policy_, &teacher_),
        bandit_(kProposerCount) {
    network_.Load(core_->context().experience);
    Refit();
    if (parts_.has_seeds) {
      seeds_.emplace(core_.get(), &archive_, &model_, parts_.has_solver);
    }
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    if (seeds_) {
      if (const std::optional<SeedQueue::Seed> seed = seeds_->Next()) {
        return Make(seed->plan,
                    seed->is_solvers_answer
                        ? absl::StrCat(parts_.name, kSolversAnswer)
                        : SourceOf("seed"),
                    std::nullopt, OwnBudget(seed->plan));
      }
    }
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft(parts_.name));
    if (!parts_.has_seeds && started_ < kFirstPlans &&
        archive_.rows().size() <= kFirstPlans) {
      ++started_;
      return MakeFresh(core_->RandomPlan(core_->limits(), 0, &random_),
                       SourceOf("first"), std::nullopt);
    }
    return ProposeBest();
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (!choices.has_value()) return;
    const Evaluated row = lathe::Evaluate(*core_, trial, *choices);
    Credit(row);
    archive_.Add(row);
    const int rows = static_cast<int>(archive_.rows().size());
    const bool is_due =
        ++rows_since_fit_ >
        rows / (row.is_looked_at ? kLooksPerFit : kMeasurementsPerFit);
    if (!row.is_looked_at) archive_.PredictAnew();
    if (is_due) {
      Refit();
    } else {
      AddToGrid(row);
    }
    const bool imitates = parts_.has_policy && parts_.has_relabelling;
    if (imitates && (is_due || !row.is_looked_at)) teacher_.Imitate(&random_);
  }

  void Dismiss(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Dismiss(trial);
    if (choices.has_value()) pending_.erase(*choices);
  }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

  absl::StatusOr<v1::Proposal> Answer(const v1::Budget& budget) const override {
    const RelativeBudget asked =
        MakeRelativeBudget(budget, core_->context().baseline);
    EpisodeBudget episode;
    episode.latency_ratio = asked.latency_ratio.value_or(episode.latency_ratio);
    episode.size_ratio = asked.size_ratio.value_or(episode.size_ratio);
    // The answer must not depend on how often something was asked before.
    Random random(MixSeed(core_->context().seed, 3));
    LATHE_ASSIGN_OR_RETURN(
        const BudgetAnswer best,
        AnswerWithin({core_.get(), &archive_, &model_, &curve_,
                      parts_.has_policy ? &policy_ : nullptr},
                     policy_.PriorOf(episode), &random));
    v1::Proposal answer = core_->Describe(best.plan, SourceOf("answer"));
    if (best.measured_latency_ratio) {
      answer.set_predicted_latency_us(*best.measured_latency_ratio *
                                      core_->costs().baseline_us());
    }
    answer.set_explanation(
        ExplanationOf(best.plan, Outlooks({best.plan})[0], episode));
    return answer;
  }

  std::string Experience() const override {
    return parts_.has_policy ? network_.Save() : "";
  }

  std::string Save() override {
    StateArchive archive;
    Visit(archive);
    return archive.bytes();
  }

  bool Restore(absl::string_view state) override {
    StateArchive archive(state);
    Visit(archive);
    if (!archive.is_at_end()) return false;
    feasibility_ = Feasibility(&core_->space(), archive_.rows());
    return true;
  }

 private:
  // A plan that was proposed and not yet learned.
  struct Pending {
    std::optional<Proposer> proposer;
    PlanOutlook outlook;

    void Visit(StateArchive& archive) {
      archive(proposer);
      archive(outlook);
    }
  };

  // Members that are not here follow from the context.
  void Visit(StateArchive& archive) {
    std::string form(kSnapshotForm);
    archive(form);
    if (form != kSnapshotForm) return archive.Refuse();
    archive(*core_);
    archive(random_);
    archive(archive_);
    archive(model_);
    archive(curve_);
    archive(grid_);
    archive(network_);
    archive(bandit_);
    if (seeds_) archive(*seeds_);
    archive(started_);
    archive(pending_);
    archive(rows_since_fit_);
  }

  void AddToGrid(const Evaluated& row) {
    if (!row.is_feasible) return;
    grid_.Add(WorthOf(curve_, row.divergence), row.latency_ratio,
              row.size_ratio);
  }

  void Refit() {
    feasibility_ = Feasibility(&core_->space(), archive_.rows());
    model_.Fit(feasibility_.Telling(archive_.rows()), singles_);
    curve_.Fit(archive_.rows());
    grid_ = BudgetGrid(*core_);
    for (const Evaluated& row : archive_.rows()) AddToGrid(row);
    rows_since_fit_ = 0;
  }

  std::vector<PlanOutlook> Outlooks(absl::Span<const Choices> plans) const {
    return OutlooksOf(*core_, model_, curve_, parts_.has_surrogate, plans);
  }

  std::string SourceOf(const char* part) const {
    return absl::StrCat(parts_.name, "/", part);
  }

  v1::Proposal Make(const Choices& plan, const std::string& source,
                    std::optional<Proposer> proposer,
                    const EpisodeBudget& budget) {
    const PlanOutlook outlook = Outlooks({plan})[0];
    pending_[plan] = Pending{proposer, outlook};
    v1::Proposal proposal = core_->Propose(plan, source);
    proposal.set_explanation(ExplanationOf(plan, outlook, budget));
    return proposal;
  }

  // What the plan promises and how likely its choices are under the budget.
  std::string ExplanationOf(const Choices& plan, const PlanOutlook& outlook,
                            const EpisodeBudget& budget) const {
    std::string text = absl::StrFormat(
        "predicted: latency ratio %.3f, size ratio %.3f, accuracy at best %.4f "
        "of the original's",
        outlook.latency_ratio, outlook.size_ratio, outlook.worth);
    if (parts_.has_policy) {
      absl::StrAppend(&text, policy_.Explain(plan, policy_.PriorOf(budget)));
    }
    return text;
  }

  // What the plan is predicted to cost, of what the job counts.
  EpisodeBudget OwnBudget(const Choices& plan) const {
    EpisodeBudget budget;
    if (core_->objective().has_latency()) {
      budget.latency_ratio = core_->PredictedLatencyRatio(plan);
    }
    if (core_->objective().has_size()) {
      budget.size_ratio = core_->PredictedSizeRatio(plan);
    }
    return budget;
  }

  absl::StatusOr<v1::Proposal> MakeFresh(const Choices& plan,
                                         const std::string& source,
                                         std::optional<Proposer> proposer) {
    const std::optional<Choices> fresh = core_->Fresh(plan, &random_);
    if (!fresh.has_value()) {
      return absl::OutOfRangeError(absl::StrCat(
          parts_.name, ": every plan within the budget was proposed"));
    }
    return Make(*fresh, source, proposer, OwnBudget(*fresh));
  }

  absl::StatusOr<v1::Proposal> ProposeBest() {
    const EpisodeBudget budget = grid_.Draw(&random_);
    const std::vector<Suggestion> suggestions = ScoredSuggestions(budget);
    const bool is_bandits = random_.Uniform() < kBanditShare;
    const bool is_turns = !parts_.has_surrogate || is_bandits;
    const int turn =
        is_turns && parts_.has_policy ? bandit_.Draw(&random_) : -1;
    const Suggestion* best = nullptr;
    for (const Suggestion& s : suggestions) {
      // Whom the sums of damages leave no hope keeps its turn: they are wrong
      // where plans change much.
      const auto key = [this, turn](const Suggestion& x) {
        const bool has_turn = static_cast<int>(x.proposer) == turn &&
                              (x.score > 0 || !parts_.has_surrogate);
        return std::make_pair(has_turn, x.score);
      };
      if (best == nullptr || key(s) > key(*best)) best = &s;
    }
    if (best == nullptr) {
      return MakeFresh(core_->RandomPlan(LimitsOf(*core_, budget), 0, &random_),
                       SourceOf("random"), std::nullopt);
    }
    return Make(best->plan, SourceOf(kProposerNames[best->proposer]),
                best->proposer,
                best->proposer == kPolicy || best->proposer == kElite
                    ? budget
                    : OwnBudget(best->plan));
  }

  std::vector<Suggestion> ScoredSuggestions(const EpisodeBudget& budget) {
    std::vector<Suggestion> suggestions = proposers_.Suggest(budget, &random_);
    std::vector<Choices> plans;
    for (const Suggestion& s : suggestions) plans.push_back(s.plan);
    const std::vector<PlanBelief> beliefs =
        BeliefsOf(*core_, model_, parts_.has_surrogate, plans);
    const BudgetGrid grid = GridWithPending();
    const bool has_scatter = core_->objective().has_latency() &&
                             core_->costs().latency_noise() >= kLeastScatter;
    const double least_gain =
        kLeastGain * (1 - core_->context().least_accuracy_ratio);
    for (double optimism = kOptimism; optimism <= kMostOptimism;
         optimism *= 2) {
      double best = 0;
      for (size_t i = 0; i < suggestions.size(); ++i) {
        Suggestion& s = suggestions[i];
        s.outlook = OutlookOf(beliefs[i], curve_, optimism);
        const double promise = PromiseOf(s.outlook, grid);
        const double doubt = 1 + feasibility_.Doubts(s.plan);
        s.score = promise > 0 ? promise / doubt : promise * doubt;
        best = std::max(best, s.score);
      }
      if (!has_scatter || best >= least_gain) break;
    }
    return suggestions;
  }

  BudgetGrid GridWithPending() const {
    BudgetGrid grid = grid_;
    for (const auto& [plan, pending] : pending_) {
      const PlanOutlook& outlook = pending.outlook;
      grid.Add(outlook.worth, outlook.latency_ratio, outlook.size_ratio);
    }
    return grid;
  }

  // Tells the bandit what a result gains.
  void Credit(const Evaluated& row) {
    const auto it = pending_.find(row.choices);
    if (it == pending_.end()) return;
    if (it->second.proposer.has_value()) {
      const double gain = row.is_feasible
                              ? grid_.Gain(WorthOf(curve_, row.divergence),
                                           row.latency_ratio, row.size_ratio)
                              : 0;
      bandit_.Credit(*it->second.proposer, gain);
    }
    pending_.erase(it);
  }

  const RlParts parts_;
  const std::unique_ptr<SearchCore> core_;
  Random random_;
  Archive archive_;
  const std::vector<Evaluated> singles_;
  Feasibility feasibility_;
  DivergenceModel model_;
  AccuracyCurve curve_;
  BudgetGrid grid_;
  ChoiceNetwork network_;
  const Policy policy_;
  PolicyTeacher teacher_;
  Proposers proposers_;
  ProposerBandit bandit_;
  std::optional<SeedQueue> seeds_;
  // Random plans proposed to begin with.
  size_t started_ = 0;
  std::map<Choices, Pending> pending_;
  int rows_since_fit_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeRlAgentOf(
    const AgentContext& context, const RlParts& parts) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<RlAgent>(std::move(core), parts);
}

absl::StatusOr<std::unique_ptr<Agent>> MakeRlAgent(
    const AgentContext& context) {
  return MakeRlAgentOf(context, RlParts());
}

absl::StatusOr<std::unique_ptr<Agent>> MakeSurrogateEaAgent(
    const AgentContext& context) {
  RlParts parts;
  parts.name = "surrogate-ea";
  parts.has_seeds = false;
  parts.has_policy = false;
  parts.has_solver = false;
  return MakeRlAgentOf(context, parts);
}

}  // namespace lathe
