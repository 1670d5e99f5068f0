// Which parts of the default agent take part: for ablations.
#ifndef LATHE_AGENT_RL_PARTS_H_
#define LATHE_AGENT_RL_PARTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/agent.h"

namespace lathe {

struct RlParts {
  const char* name = "rl";
  // Plans that treat layers alike and single changes first; without them ten
  // random plans.
  bool has_seeds = true;
  // The policy: without it nothing of it is proposed or re-drawn.
  bool has_policy = true;
  // Elites that the policy re-draws in part.
  bool has_resampling = true;
  // Plans of the exact solver of the sums of damages.
  bool has_solver = true;
  // Children of elites.
  bool has_children = true;
  // The policy imitates the best plans under the budgets that they meet.
  bool has_relabelling = true;
  // The policy learns from plans that were only imagined.
  bool has_rollouts = true;
  // The Gaussian process on top of the sums of damages, and that what it says
  // decides between proposers: without it the nearest row says by what the sums
  // are off, and the bandit decides.
  bool has_surrogate = true;
  // Choices that put the budget out of reach are not drawn.
  bool has_masks = true;
};

// Switches a part off: "seeds", "policy", "resampling", "solver", "children",
// "relabelling", "rollouts", "surrogate", "masks".
//
// Errors:
//   InvalidArgument - another name; the message lists these.
absl::Status SwitchOff(absl::string_view part, RlParts* parts);

// Errors: those of MakeAgent.
absl::StatusOr<std::unique_ptr<Agent>> MakeRlAgentOf(
    const AgentContext& context, const RlParts& parts);

}  // namespace lathe

#endif  // LATHE_AGENT_RL_PARTS_H_
