// One maker per strategy; MakeAgent's table is in agent.cc.
#ifndef LATHE_AGENT_STRATEGIES_H_
#define LATHE_AGENT_STRATEGIES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "agent/agent.h"

namespace lathe {

// All layers alike, over the grid of precisions, bits and keep ratios.
absl::StatusOr<std::unique_ptr<Agent>> MakeUniformAgent(
    const AgentContext& context);

// Random legal plans, spread over the latencies that can be reached.
absl::StatusOr<std::unique_ptr<Agent>> MakeRandomAgent(
    const AgentContext& context);

// One trial per useful (decision, choice), then greedy steps by least loss of
// quality per cost saved.
absl::StatusOr<std::unique_ptr<Agent>> MakeGreedyAgent(
    const AgentContext& context);

// A sensitivity table, then exact minima of the summed damages for many
// budgets; fitted anew to every trial by the adaptive one.
absl::StatusOr<std::unique_ptr<Agent>> MakeIlpAgent(
    const AgentContext& context);
absl::StatusOr<std::unique_ptr<Agent>> MakeAdaptiveAgent(
    const AgentContext& context);

// Sensitivities of pairs as well, and a quadratic programme (CLADO).
absl::StatusOr<std::unique_ptr<Agent>> MakeCladoAgent(
    const AgentContext& context);

// A genetic algorithm, and single steps from what nothing dominates.
absl::StatusOr<std::unique_ptr<Agent>> MakeNsga2Agent(
    const AgentContext& context);
absl::StatusOr<std::unique_ptr<Agent>> MakeLocalSearchAgent(
    const AgentContext& context);

// The multi-objective tree-structured Parzen estimator.
absl::StatusOr<std::unique_ptr<Agent>> MakeTpeAgent(
    const AgentContext& context);

// DDPG for each of a few budgets, as published. Need libtorch.
absl::StatusOr<std::unique_ptr<Agent>> MakeHaqAgent(
    const AgentContext& context);
absl::StatusOr<std::unique_ptr<Agent>> MakeAmcAgent(
    const AgentContext& context);

// The surrogate and the evolutionary proposals of rl, without its seeds, its
// policy and its solver: from ten random plans on.
absl::StatusOr<std::unique_ptr<Agent>> MakeSurrogateEaAgent(
    const AgentContext& context);

// A budget-conditioned categorical policy, seeds, the solver, evolution, and a
// surrogate that picks among their plans. Needs libtorch.
absl::StatusOr<std::unique_ptr<Agent>> MakeRlAgent(const AgentContext& context);

}  // namespace lathe

#endif  // LATHE_AGENT_STRATEGIES_H_
