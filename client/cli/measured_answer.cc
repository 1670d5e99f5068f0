#include "client/cli/measured_answer.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "proto/names.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);

absl::StatusOr<v1::Trial> AwaitEnd(const SearchClient& client,
                                   const std::string& job, int64_t number) {
  while (true) {
    LATHE_ASSIGN_OR_RETURN(v1::Trial trial, client.GetTrial(job, number));
    if (IsFinal(trial.state())) return trial;
    LATHE_ASSIGN_OR_RETURN(const v1::Job current, client.GetJob(job));
    if (IsFinal(current.state())) {
      return absl::CancelledError(absl::StrCat(
          trial.name(), ": the job is ", JobStateName(current.state()),
          " before the trial was measured ", current.state_reason()));
    }
    absl::SleepFor(kPollInterval);
  }
}

// A search of nothing but the plan.
v1::JobSpec SpecOfPlan(const v1::Job& job, const v1::CompressionPlan& plan) {
  v1::JobSpec spec = job.spec();
  spec.set_display_name(absl::StrCat("an answer of ", job.name()));
  spec.set_trials(2);
  spec.clear_budget();
  spec.clear_warm_start_jobs();
  spec.set_sensitivity_samples(0);
  spec.clear_first_plans();
  *spec.add_first_plans() = plan;
  *spec.mutable_target_profile() = job.profile();
  return spec;
}

absl::StatusOr<v1::Trial> MeasureInNewJob(const SearchClient& client,
                                          const v1::Job& job,
                                          const v1::CompressionPlan& plan) {
  // 64 characters at most.
  const std::string request_id =
      absl::StrCat("best-", absl::StrReplaceAll(job.name(), {{"/", "-"}}), "-",
                   PlanDigest(plan).substr(0, 32));
  LATHE_ASSIGN_OR_RETURN(const v1::Job made,
                         client.CreateJob(SpecOfPlan(job, plan), request_id));
  while (true) {
    LATHE_ASSIGN_OR_RETURN(const v1::Job current, client.GetJob(made.name()));
    if (current.state() == v1::DONE) return client.GetTrial(made.name(), 1);
    if (IsFinal(current.state())) {
      return absl::CancelledError(absl::StrCat(made.name(), " is ",
                                               JobStateName(current.state()),
                                               ": ", current.state_reason()));
    }
    absl::SleepFor(kPollInterval);
  }
}

}  // namespace

absl::StatusOr<v1::Trial> MeasurePlan(const SearchClient& client,
                                      const v1::Job& job,
                                      const v1::CompressionPlan& plan) {
  const std::string digest = PlanDigest(plan);
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         client.ListTrials(job.name()));
  for (const v1::Trial& trial : trials) {
    const bool is_plan =
        trial.plan_digest() == digest ||
        (trial.number() == 0 &&
         PlanDigest(BaselinePlan(job.baseline().space())) == digest);
    if (is_plan && IsFinal(trial.state())) return trial;
  }
  if (IsFinal(job.state())) return MeasureInNewJob(client, job, plan);
  LATHE_ASSIGN_OR_RETURN(const v1::Trial added,
                         client.CreateTrial(job.name(), plan));
  return AwaitEnd(client, job.name(), added.number());
}

}  // namespace lathe
