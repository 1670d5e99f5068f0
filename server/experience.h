// What agents hand on from job to job.
#ifndef LATHE_SERVER_EXPERIENCE_H_
#define LATHE_SERVER_EXPERIENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "agent/agent.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

// What the agent of a job with a measured trial 0 may know: MakeAgentContext,
// and what the first of its warm_start_jobs that ran the same agent has left. A
// job leaves it when it ends DONE, so that what is read here stays the same; of
// one that was deleted nothing is left.
absl::StatusOr<AgentContext> ReadAgentContext(const v1::Job& job,
                                              const v1::Trial& baseline_trial,
                                              Store& store);

}  // namespace lathe

#endif  // LATHE_SERVER_EXPERIENCE_H_
