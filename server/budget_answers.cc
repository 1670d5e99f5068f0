#include "server/budget_answers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/experience.h"
#include "server/job_requests.h"
#include "server/job_spec_check.h"

namespace lathe {
namespace {

constexpr CodeReason kReasons[] = {
    {absl::StatusCode::kFailedPrecondition, "BUDGET_UNREACHABLE"},
    {absl::StatusCode::kUnimplemented, "AGENT_ANSWERS_NOT"}};

int64_t CountLearned(const std::vector<v1::Trial>& trials) {
  return std::count_if(
      trials.begin(), trials.end(),
      [](const v1::Trial& trial) { return trial.learn_sequence() > 0; });
}

}  // namespace

absl::StatusOr<v1::Proposal> BudgetAnswers::Answer(
    const v1::AnswerBudgetRequest& request) {
  LATHE_RETURN_IF_ERROR(CheckBudget(request.budget()));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store_, request.name()));
  if (!job.has_baseline()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOTHING_MEASURED",
                     absl::StrCat(job.name(),
                                  ": no trial was measured yet; try again "
                                  "when trial 0 is"));
  }
  if (!mu_.TryLock()) {
    return MakeError(absl::StatusCode::kUnavailable, "AGENT_REPLAYED",
                     "an agent is being replayed for another call");
  }
  absl::StatusOr<v1::Proposal> answer = AnswerHeld(job, request.budget());
  mu_.Unlock();
  return answer;
}

absl::StatusOr<v1::Proposal> BudgetAnswers::AnswerHeld(
    const v1::Job& job, const v1::Budget& budget) {
  LATHE_RETURN_IF_ERROR(Replay(job));
  absl::StatusOr<v1::Proposal> answer = driver_->Answer(budget);
  if (!answer.ok()) return WithReasons(answer.status(), kReasons);
  return answer;
}

absl::Status BudgetAnswers::Replay(const v1::Job& job) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         store_.AllTrials(job.name()));
  if (driver_ != nullptr && job_ == job.name() &&
      driver_->learned() == CountLearned(trials)) {
    return absl::OkStatus();
  }
  driver_.reset();
  LATHE_ASSIGN_OR_RETURN(const AgentContext context,
                         ReadAgentContext(job, trials.front(), store_));
  absl::StatusOr<RestoredDriver> restored =
      RestoreDriver(job, context, trials, store_);
  if (!restored.ok()) return WithReasons(restored.status(), kReasons);
  driver_ = std::move(restored->driver);
  job_ = job.name();
  return absl::OkStatus();
}

}  // namespace lathe
