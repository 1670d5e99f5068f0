// Any agent behind seeds.
#ifndef LATHE_AGENT_SEEDED_AGENT_H_
#define LATHE_AGENT_SEEDED_AGENT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "agent/agent.h"

namespace lathe {

// An agent that first proposes the seeds of `rl`, then the solver's plans for
// the 32 budgets (fewer in jobs of less than 270 trials) that seem to gain most
// and then what `inner` does, which learns from all of it: what a search is
// worth by itself, when it starts from what the solver finds.
//
// Errors: those of MakeAgent that are about the context.
absl::StatusOr<std::unique_ptr<Agent>> MakeSeeded(const AgentContext& context,
                                                  std::unique_ptr<Agent> inner);

}  // namespace lathe

#endif  // LATHE_AGENT_SEEDED_AGENT_H_
