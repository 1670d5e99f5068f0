// An agent and the order of its calls, which can be replayed.
#ifndef LATHE_SERVER_AGENT_DRIVER_H_
#define LATHE_SERVER_AGENT_DRIVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/agent.h"
#include "proto/agent.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// Who proposed a trial that no agent did.
constexpr char kBaselineSource[] = "baseline";
constexpr char kUserSource[] = "user";
// Before the name of the trial whose plan was taken over.
constexpr char kWarmStartPrefix[] = "warm-start/";

// Whether an agent proposed the trial, not a user, an earlier job, or a look
// at an earlier trial.
bool IsAgentsOwn(const v1::Trial& trial);

// What the agent of a job with a measured trial 0 may know.
AgentContext MakeAgentContext(const v1::Job& job,
                              const v1::Trial& baseline_trial);

// Calls an agent and numbers the calls. Nothing of the confirmation and
// report splits reaches it; trial 0 reaches it with the plan that changes
// nothing. Not thread-safe.
class AgentDriver {
 public:
  AgentDriver(std::unique_ptr<Agent> agent, v1::SearchSpace space);

  // The agent as it stands; see AgentSnapshot.
  v1::AgentSnapshot Save();
  // Whether the agent goes on from the snapshot; if not, this driver is of no
  // use any more. REQUIRES: no other call came before.
  bool Restore(const v1::AgentSnapshot& snapshot);

  // Makes the calls that led to a job's stored trials, but for those that a
  // snapshot holds: each agent's proposal after the results that it had
  // learned, each result in learn order. Where the agent now proposes something
  // else, the stored trial wins. Returns how often it did. REQUIRES: no other
  // call than Restore came before.
  int Replay(absl::Span<const v1::Trial> trials);

  // The next proposal, with learned_before set.
  // Errors: OutOfRange - nothing more to propose.
  absl::StatusOr<v1::Proposal> Propose();

  // See Agent::Answer.
  absl::StatusOr<v1::Proposal> Answer(const v1::Budget& budget) const {
    return agent_->Answer(budget);
  }

  // See Agent::Experience.
  std::string Experience() const { return agent_->Experience(); }

  // Tells the agent of an ended trial. Returns its reward; none for one that
  // was given up (QUARANTINED, FAILED), which the agent only dismisses.
  std::optional<v1::Reward> Learn(const v1::Trial& trial);

  // Trials it was told of so far: the learn sequence of the last one.
  int64_t learned() const { return learned_; }

 private:
  v1::Trial AsTheAgentSeesIt(const v1::Trial& trial) const;

  const std::unique_ptr<Agent> agent_;
  const v1::SearchSpace space_;
  // Calls so far.
  int64_t proposals_ = 0;
  int64_t learned_ = 0;
};

}  // namespace lathe

#endif  // LATHE_SERVER_AGENT_DRIVER_H_
