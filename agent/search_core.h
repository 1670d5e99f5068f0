// What every strategy keeps: the space, the costs, the objective, and which
// plans are known.
#ifndef LATHE_AGENT_SEARCH_CORE_H_
#define LATHE_AGENT_SEARCH_CORE_H_

#include <memory>
#include <optional>
#include <set>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/agent.h"
#include "agent/cost_model.h"
#include "agent/decisions.h"
#include "agent/objective.h"
#include "agent/random.h"
#include "agent/reachability.h"
#include "agent/state_archive.h"
#include "proto/types.pb.h"

namespace lathe {

// Not thread-safe.
class SearchCore {
 public:
  // Errors: those of MakeAgent that are about the context.
  static absl::StatusOr<std::unique_ptr<SearchCore>> Make(
      const AgentContext& context);

  SearchCore(const SearchCore&) = delete;
  SearchCore& operator=(const SearchCore&) = delete;

  const AgentContext& context() const { return context_; }
  const DecisionSpace& space() const { return space_; }
  const CostModel& costs() const { return costs_; }
  const Objective& objective() const { return objective_; }
  // By the cost model as it stands now.
  const Reachability& reachability() const { return *reachability_; }

  // The job's budget as predicted latency and size. Where measured trials
  // have shown that nothing can meet it, a little above the least that can be
  // reached, so that the search goes on as near to it as it can.
  const Limits& limits() const { return limits_; }
  // Whether the prediction for a plan is within `limits`.
  bool IsWithin(const Choices& choices, const Limits& limits) const;
  // As a share of the baseline's.
  double PredictedLatencyRatio(const Choices& choices) const;
  double PredictedSizeRatio(const Choices& choices) const;

  // Proposed, or seen in a trial, or the uncompressed model.
  bool IsKnown(const Choices& choices) const {
    return known_.count(choices) > 0;
  }
  // A random plan within `limits`: each decision takes its first choice with
  // probability `mildness`, else any that keeps the limits reachable.
  Choices RandomPlan(const Limits& limits, double mildness,
                     Random* random) const;
  // `choices` if it is unknown and within the limits, else a plan that is,
  // with few decisions changed; nothing when no such plan is left.
  std::optional<Choices> Fresh(Choices choices, Random* random) const;

  // Whether Fresh would find a plan. Agents ask before they draw or count
  // anything, so that a call that proposes nothing changes nothing: such calls
  // leave no trace, and are not made again on replay.
  // Errors: OutOfRange - none is left; names the agent.
  absl::Status CheckAnyLeft(absl::string_view agent);

  // The proposal for a plan.
  v1::Proposal Describe(const Choices& choices, absl::string_view source) const;
  // The same for an unknown plan, which is known from now on.
  v1::Proposal Propose(const Choices& choices, absl::string_view source);

  // Takes a trial into account: known plans, cost model, moving baseline.
  // Returns its plan as choices; nothing for a plan that is not of the space.
  std::optional<Choices> Learn(const v1::Trial& trial);
  // Takes note of a trial that was given up: its plan is known. Returns that as
  // Learn does.
  std::optional<Choices> Dismiss(const v1::Trial& trial);
  v1::Reward Evaluate(const v1::Trial& trial) const;
  double moving_baseline() const { return moving_baseline_.value_or(0); }

  // See StateArchive.
  void Visit(StateArchive& archive);

 private:
  SearchCore(const AgentContext& context, DecisionSpace space);
  void Refresh();
  // An unknown plan within the limits by depth-first search.
  std::optional<Choices> FindUnknown(Random* random) const;

  const AgentContext context_;
  const DecisionSpace space_;
  const Objective objective_;
  CostModel costs_;
  std::unique_ptr<Reachability> reachability_;
  Limits limits_;
  std::set<Choices> known_;
  // A plan that was left when CheckAnyLeft last looked for one.
  std::optional<Choices> left_;
  std::optional<double> moving_baseline_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_SEARCH_CORE_H_
