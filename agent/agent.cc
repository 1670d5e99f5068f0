#include "agent/agent.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/strategies.h"
#include "base/blas_threads.h"

namespace lathe {
namespace {

struct Strategy {
  const char* name;
  absl::StatusOr<std::unique_ptr<Agent>> (*make)(const AgentContext& context);
};

// Sorted by name.
constexpr Strategy kStrategies[] = {
    {"adaptive", MakeAdaptiveAgent},
#ifdef LATHE_HAS_TORCH
    {"amc", MakeAmcAgent},
#endif
    {"clado", MakeCladoAgent},
    {"greedy", MakeGreedyAgent},
#ifdef LATHE_HAS_TORCH
    {"haq", MakeHaqAgent},
#endif
    {"ilp", MakeIlpAgent},
    {"localsearch", MakeLocalSearchAgent},
    {"nsga2", MakeNsga2Agent},
    {"random", MakeRandomAgent},
#ifdef LATHE_HAS_TORCH
    {"rl", MakeRlAgent},
    {"surrogate-ea", MakeSurrogateEaAgent},
#endif
    {"tpe", MakeTpeAgent},
    {"uniform", MakeUniformAgent},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeAgent(absl::string_view name,
                                                 const AgentContext& context) {
  UseOneBlasThread();
  for (const Strategy& strategy : kStrategies) {
    if (name == strategy.name) return strategy.make(context);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "agent = '", name, "', not one of ", absl::StrJoin(AgentNames(), ", ")));
}

std::vector<std::string> AgentNames() {
  std::vector<std::string> names;
  for (const Strategy& strategy : kStrategies) names.push_back(strategy.name);
  return names;
}

}  // namespace lathe
