// What is kept of agents: for a restart, and from job to job.
#ifndef LATHE_SERVER_EXPERIENCE_H_
#define LATHE_SERVER_EXPERIENCE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/agent.h"
#include "proto/types.pb.h"
#include "server/agent_driver.h"
#include "storage/store.h"

namespace lathe {

// What the agent of a job with a measured trial 0 may know when it first
// starts: MakeAgentContext, and what the first of the job's warm_start_jobs
// that ran the same agent has left. That is stored as the job's own before
// anything is proposed, so that every replay begins with the same, even when
// the earlier job has been deleted, or has ended, meanwhile.
absl::StatusOr<AgentContext> BeginAgentContext(const v1::Job& job,
                                               const v1::Trial& baseline_trial,
                                               Store& store);

// The same without storing anything: for an agent that answers beside the one
// that searches. Nothing was left by earlier jobs as long as that one has not
// started.
absl::StatusOr<AgentContext> ReadAgentContext(const v1::Job& job,
                                              const v1::Trial& baseline_trial,
                                              Store& store);

// What the agent of a job leaves when the job ends DONE.
absl::Status SaveExperience(const std::string& job, AgentDriver& driver,
                            Store& store);

// Keeps the agent as it stands, where it is one that has snapshots. REQUIRES:
// all its proposals are stored, and all that it has learned is recorded.
absl::Status SaveSnapshot(const std::string& job, AgentDriver& driver,
                          Store& store);

struct RestoredDriver {
  std::unique_ptr<AgentDriver> driver;
  // See AgentDriver::Replay.
  int differences = 0;
};
// The job's agent after all that `trials`, the job's, say: from its snapshot,
// if there is one that fits, and by replay of what came since.
//
// Errors: those of MakeAgent, and of the store.
absl::StatusOr<RestoredDriver> RestoreDriver(const v1::Job& job,
                                             const AgentContext& context,
                                             absl::Span<const v1::Trial> trials,
                                             Store& store);

}  // namespace lathe

#endif  // LATHE_SERVER_EXPERIENCE_H_
