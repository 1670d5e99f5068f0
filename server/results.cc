#include "server/results.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/frontier.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/job_requests.h"
#include "server/job_spec_check.h"

namespace lathe {
namespace {

absl::StatusOr<v1::Trial> MeasuredBaseline(const std::string& job,
                                           Store& store) {
  absl::StatusOr<v1::Trial> baseline =
      store.GetTrial(absl::StrCat(job, "/trials/0"));
  if (absl::IsNotFound(baseline.status()) ||
      (baseline.ok() && baseline->state() != v1::TRIAL_MEASURED)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOTHING_MEASURED",
                     absl::StrCat(job,
                                  ": no trial was measured yet; try again "
                                  "when trial 0 is"));
  }
  return baseline;
}

std::string MachineText(const v1::HardwareProfile& profile) {
  return absl::StrCat(profile.cpu(), ", ", profile.isa(), ", oneDNN ",
                      profile.onednn());
}

// Whether the measurements are of the hardware that is asked for.
absl::Status CheckProfile(const v1::GetFrontierRequest& request,
                          const v1::Job& job) {
  const std::string asked = MachineText(request.profile());
  if (!request.has_profile() || asked == MachineText(job.profile())) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "PROFILE_NOT_MEASURED",
      absl::StrCat(job.name(), " is measured on ", MachineText(job.profile()),
                   ", not on ", asked.substr(0, 200),
                   "; submit a job with that target_profile"));
}

}  // namespace

absl::StatusOr<v1::Frontier> ReadFrontier(const v1::GetFrontierRequest& request,
                                          Store& store,
                                          FrontierTracker& frontiers) {
  std::vector<std::string> objectives(request.objectives().begin(),
                                      request.objectives().end());
  LATHE_RETURN_IF_ERROR(CheckObjectives(objectives));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store, request.name()));
  v1::Frontier frontier;
  LATHE_ASSIGN_OR_RETURN(*frontier.mutable_baseline(),
                         MeasuredBaseline(job.name(), store));
  LATHE_RETURN_IF_ERROR(CheckProfile(request, job));
  if (objectives.empty()) objectives = ObjectivesOf(job.spec());
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                         frontiers.Frontier(job.name(), objectives));
  LATHE_ASSIGN_OR_RETURN(std::vector<v1::Trial> members,
                         store.GetTrials(job.name(), numbers));
  frontier.set_hypervolume(
      Hypervolume(members, frontier.baseline().measurement()));
  for (const int i : ParetoFrontier(members, objectives)) {
    *frontier.add_trials() = std::move(members[i]);
  }
  return frontier;
}

absl::StatusOr<v1::BestConfiguration> FindBestConfiguration(
    const v1::GetBestConfigurationRequest& request, Store& store,
    FrontierTracker& frontiers) {
  LATHE_RETURN_IF_ERROR(CheckBounds(request));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store, request.name()));
  LATHE_ASSIGN_OR_RETURN(const v1::Trial baseline,
                         MeasuredBaseline(job.name(), store));
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                         frontiers.Exportable(job.name()));
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> exportable,
                         store.GetTrials(job.name(), numbers));
  v1::BestConfiguration best = BestWithin(exportable, baseline.measurement(),
                                          request, job.spec().budget());
  // What an exportable trial dominates meets no bound that it does not meet;
  // but its intervals may be narrower.
  if (best.has_trial() || !request.is_confident()) return best;
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> all,
                         store.AllTrials(job.name()));
  return BestWithin(all, baseline.measurement(), request, job.spec().budget());
}

}  // namespace lathe
