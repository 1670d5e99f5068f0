#include "server/results.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/frontier.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/frontier_tracker.h"
#include "server/job_requests.h"
#include "server/job_spec_check.h"

namespace lathe {
namespace {

// A job's measured trials, trial 0 first.
absl::StatusOr<std::vector<v1::Trial>> MeasuredTrials(const v1::Job& job,
                                                      Store& store) {
  LATHE_ASSIGN_OR_RETURN(std::vector<v1::Trial> trials,
                         store.AllTrials(job.name()));
  std::vector<v1::Trial> measured;
  for (v1::Trial& trial : trials) {
    if (trial.state() == v1::TRIAL_MEASURED) {
      measured.push_back(std::move(trial));
    }
  }
  if (measured.empty() || measured[0].number() != 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOTHING_MEASURED",
                     absl::StrCat(job.name(),
                                  ": no trial was measured yet; try again "
                                  "when trial 0 is"));
  }
  return measured;
}

std::vector<std::string> ObjectivesOf(const v1::Job& job) {
  return {job.spec().objectives().begin(), job.spec().objectives().end()};
}

}  // namespace

absl::StatusOr<v1::Frontier> ReadFrontier(const v1::GetFrontierRequest& request,
                                          Store& store) {
  std::vector<std::string> objectives(request.objectives().begin(),
                                      request.objectives().end());
  LATHE_RETURN_IF_ERROR(CheckObjectives(objectives));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store, request.name()));
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> measured,
                         MeasuredTrials(job, store));
  if (objectives.empty()) objectives = ObjectivesOf(job);
  v1::Frontier frontier;
  *frontier.mutable_baseline() = measured[0];
  std::vector<v1::Trial> members;
  for (const int i : ParetoFrontier(measured, objectives)) {
    *frontier.add_trials() = measured[i];
    members.push_back(measured[i]);
  }
  frontier.set_hypervolume(Hypervolume(members, measured[0].measurement()));
  return frontier;
}

absl::StatusOr<v1::BestConfiguration> FindBestConfiguration(
    const v1::GetBestConfigurationRequest& request, Store& store) {
  LATHE_RETURN_IF_ERROR(CheckBounds(request));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store, request.name()));
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> measured,
                         MeasuredTrials(job, store));
  const v1::Measurement& baseline = measured[0].measurement();
  v1::BestConfiguration best = BestWithin(
      ExportableTrials(measured, ObjectivesOf(job)), baseline, request);
  if (best.has_trial()) return best;
  return BestWithin(measured, baseline, request);
}

}  // namespace lathe
