#include "server/experience.h"

#include <optional>
#include <utility>

#include "base/status.h"
#include "server/agent_driver.h"

namespace lathe {

absl::StatusOr<AgentContext> ReadAgentContext(const v1::Job& job,
                                              const v1::Trial& baseline_trial,
                                              Store& store) {
  AgentContext context = MakeAgentContext(job, baseline_trial);
  for (const std::string& name : job.spec().warm_start_jobs()) {
    const absl::StatusOr<v1::Job> earlier = store.GetJob(name);
    if (absl::IsNotFound(earlier.status())) continue;
    LATHE_RETURN_IF_ERROR(earlier.status());
    if (earlier->spec().agent() != job.spec().agent()) continue;
    LATHE_ASSIGN_OR_RETURN(std::optional<AgentState> state,
                           store.LoadAgentState(name));
    if (!state.has_value()) continue;
    context.experience = std::move(state->bytes);
    break;
  }
  return context;
}

}  // namespace lathe
