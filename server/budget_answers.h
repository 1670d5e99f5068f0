// What a job's agent answers for a budget, by what it has learned.
#ifndef LATHE_SERVER_BUDGET_ANSWERS_H_
#define LATHE_SERVER_BUDGET_ANSWERS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "proto/search.pb.h"
#include "server/agent_driver.h"
#include "storage/store.h"

namespace lathe {

// Replays agents of its own, so that jobs which have ended are answered like
// those that run, and no search waits. The last one is kept for more questions.
// One call at a time replays: the others are told to come again, so that
// questions take no more than one thread from the server. Thread-safe.
class BudgetAnswers {
 public:
  // `store` must outlive this.
  explicit BudgetAnswers(Store* store) : store_(*store) {}

  // Errors:
  //   InvalidArgument (FIELD_INVALID) - see CheckBudget.
  //   NotFound (JOB_NOT_FOUND).
  //   FailedPrecondition (NOTHING_MEASURED); (BUDGET_UNREACHABLE) - the message
  //     has the least that can be reached.
  //   Unimplemented (AGENT_ANSWERS_NOT) - the job's agent knows only what was
  //     measured.
  //   Unavailable (AGENT_REPLAYED) - another call's agent is being replayed.
  absl::StatusOr<v1::Proposal> Answer(const v1::AnswerBudgetRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::StatusOr<v1::Proposal> AnswerHeld(const v1::Job& job,
                                          const v1::Budget& budget)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes `driver_` the job's agent, with all results that it has learned.
  absl::Status Replay(const v1::Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Store& store_;
  // Held while an agent thinks; whoever does not get it leaves.
  absl::Mutex mu_;
  std::string job_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<AgentDriver> driver_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lathe

#endif  // LATHE_SERVER_BUDGET_ANSWERS_H_
