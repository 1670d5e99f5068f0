// A search strategy: proposes plans, learns from measured trials.
#ifndef LATHE_AGENT_AGENT_H_
#define LATHE_AGENT_AGENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/types.pb.h"

namespace lathe {

// Everything an agent may know when it starts. Trial 0 has been measured.
struct AgentContext {
  v1::SearchSpace space;
  v1::LatencyTable latency_table;
  // What single choices cost, where that was measured beforehand.
  v1::Sensitivity sensitivity;
  // The baseline's, without its report split.
  v1::Measurement baseline;
  v1::Budget budget;
  // "latency", "size".
  std::vector<std::string> objectives;
  // Accuracy, as a share of the baseline's, below which a plan is worth nothing
  // to anybody: the reference of the hypervolume.
  double least_accuracy_ratio = 0.8;
  // Agent::Experience() of an agent of the same name that searched another
  // network; what is not of that form is not used.
  std::string experience;
  uint64_t seed = 0;
  // Trials that the job will have in all, the baseline included.
  int64_t trials = 0;
};

// Not thread-safe. A pure function of its context and of the calls so far: the
// same calls give the same proposals, in any process.
class Agent {
 public:
  virtual ~Agent() = default;

  // The next plan to measure; legal in the space. Plans already proposed are
  // avoided while the space has others; only the solver's answer for the job's
  // budget is proposed as such whatever was before.
  //
  // Errors:
  //   OutOfRange - the agent has nothing more to propose; the call changed
  //     nothing.
  virtual absl::StatusOr<v1::Proposal> Propose() = 0;

  // Takes in a trial that ended MEASURED or INFEASIBLE (the report split is
  // stripped by the caller): any trial of the job, proposed by this agent or
  // by a user.
  virtual void Learn(const v1::Trial& trial) = 0;

  // Takes in that a trial was given up, QUARANTINED or FAILED, without a
  // result: its plan is waited for no more and not proposed again, and nothing
  // else is concluded from it.
  virtual void Dismiss(const v1::Trial& trial) = 0;

  // The reward this agent gives the trial, with its components and the moving
  // baseline as it stands; called just before Learn.
  virtual v1::Reward Evaluate(const v1::Trial& trial) const = 0;

  // The plan that the agent would give for a budget that nobody asked for
  // before, by what it has learned; it need not have been measured. Asking
  // changes nothing.
  //
  // Errors:
  //   Unimplemented - this agent only answers by what was measured.
  //   FailedPrecondition - no plan that it knows of is within the budget; the
  //     message names the least that can be reached.
  virtual absl::StatusOr<v1::Proposal> Answer(
      const v1::Budget& /*budget*/) const {
    return absl::UnimplementedError(
        "this agent answers for a budget by measured trials only; search with "
        "--agent rl");
  }

  // What it has learned that may hold for other networks, too, for their
  // searches to begin with. Empty: nothing.
  virtual std::string Experience() const { return ""; }

  // A snapshot: an agent of the same name and context that restores it goes on
  // as this one does. Empty: this agent is quick enough to be replayed.
  virtual std::string Save() { return ""; }
  // Whether `state` is a snapshot of such an agent. If not, this agent is of no
  // use any more. REQUIRES: nothing was called before.
  virtual bool Restore(absl::string_view /*state*/) { return false; }
};

// Makes the agent called `name`.
//
// Errors:
//   InvalidArgument - no agent of that name; the message lists those there
//     are.
//   FailedPrecondition - the budget is below the least that the space can
//     reach; the message names both.
absl::StatusOr<std::unique_ptr<Agent>> MakeAgent(absl::string_view name,
                                                 const AgentContext& context);

// Names that MakeAgent knows, sorted.
std::vector<std::string> AgentNames();

}  // namespace lathe

#endif  // LATHE_AGENT_AGENT_H_
