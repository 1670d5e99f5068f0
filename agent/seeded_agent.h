// Any agent behind the default agent's seeds.
#ifndef LATHE_AGENT_SEEDED_AGENT_H_
#define LATHE_AGENT_SEEDED_AGENT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "agent/agent.h"

namespace lathe {

// Share of the trials that seeds may take, and the fewest and most of them.
constexpr double kSeedShare = 0.3;
constexpr int kFewestSeeds = 6;
constexpr int kMostSeeds = 120;
size_t SeedCount(int64_t trials);

// An agent that first proposes the seeds of `rl` and then what `inner` does,
// which learns from all of it: what a search is worth by itself, when it starts
// from what the default agent starts from.
//
// Errors: those of MakeAgent that are about the context.
absl::StatusOr<std::unique_ptr<Agent>> MakeSeeded(const AgentContext& context,
                                                  std::unique_ptr<Agent> inner);

}  // namespace lathe

#endif  // LATHE_AGENT_SEEDED_AGENT_H_
