#include "server/job_requests.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/status.h"
#include "proto/plan.h"
#include "server/agent_driver.h"
#include "server/errors.h"
#include "server/job_spec_check.h"

namespace lathe {
namespace {

constexpr int kDefaultPageSize = 100;
constexpr int kMostPageSize = 1000;
constexpr size_t kMostRequestIdBytes = 64;
// Below gRPC's default limit for received messages (4 MiB).
constexpr size_t kMostPageBytes = 3 << 20;

constexpr CodeReason kListReasons[] = {
    {absl::StatusCode::kNotFound, "JOB_NOT_FOUND"},
    {absl::StatusCode::kInvalidArgument, "PAGE_TOKEN_INVALID"}};

absl::StatusOr<int> PageSize(int requested) {
  FieldChecks checks;
  checks.Require(requested >= 0 && requested <= kMostPageSize, "page_size",
                 absl::StrCat(requested, ", not in [0, ", kMostPageSize, "]"));
  LATHE_RETURN_IF_ERROR(checks.ToStatus());
  return requested == 0 ? kDefaultPageSize : requested;
}

absl::Status CheckRequestId(const std::string& request_id) {
  FieldChecks checks;
  checks.Require(
      !request_id.empty() && request_id.size() <= kMostRequestIdBytes,
      "request_id",
      absl::StrCat(request_id.size(), " characters, not in [1, ",
                   kMostRequestIdBytes, "]"));
  return checks.ToStatus();
}

// A page of at most `page_size` rows, and of kMostPageBytes where that leaves a
// row at all. `read` gives one of so many rows.
template <typename Row, typename Read>
absl::StatusOr<Page<Row>> ReadPage(int page_size, Read read) {
  while (true) {
    absl::StatusOr<Page<Row>> page = read(page_size);
    if (!page.ok()) return WithReasons(page.status(), kListReasons);
    size_t bytes = 0;
    for (const Row& row : page->rows) bytes += row.ByteSizeLong();
    if (bytes <= kMostPageBytes || page_size == 1) return page;
    page_size = std::max(1, page_size / 4);
  }
}

}  // namespace

absl::StatusOr<v1::Job> CreateJobFrom(const v1::CreateJobRequest& request,
                                      const JobCreator& creator, Store& store,
                                      const BlobStore& blobs) {
  LATHE_RETURN_IF_ERROR(CheckJobSpec(request.spec(), AgentNames()));
  if (!request.validate_only()) {
    LATHE_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  }
  LATHE_RETURN_IF_ERROR(CheckJobBlobs(request.spec(), blobs));
  for (const std::string& job : request.spec().warm_start_jobs()) {
    LATHE_RETURN_IF_ERROR(FindJob(store, job).status());
  }
  const v1::JobSpec spec = WithDefaults(request.spec());
  if (request.validate_only()) {
    v1::Job job;
    *job.mutable_spec() = spec;
    return job;
  }
  absl::StatusOr<v1::Job> job =
      store.CreateJobOf(creator, spec, request.request_id(), absl::Now());
  if (absl::IsFailedPrecondition(job.status())) {
    return MakeError(absl::StatusCode::kResourceExhausted, "QUOTA_JOBS",
                     job.status().message());
  }
  if (!job.ok()) {
    return WithReasons(job.status(), {{absl::StatusCode::kAlreadyExists,
                                       "REQUEST_ID_REUSED"}});
  }
  return job;
}

absl::StatusOr<v1::Job> FindJob(Store& store, absl::string_view name) {
  absl::StatusOr<v1::Job> job = store.GetJob(name);
  if (!job.ok()) return WithReasons(job.status(), kListReasons);
  return job;
}

absl::StatusOr<v1::ListJobsResponse> ListJobsPage(
    const v1::ListJobsRequest& request, Store& store) {
  LATHE_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  LATHE_ASSIGN_OR_RETURN(Page<v1::Job> page,
                         ReadPage<v1::Job>(page_size, [&](int rows) {
                           return store.ListJobs(rows, request.page_token());
                         }));
  v1::ListJobsResponse response;
  for (v1::Job& job : page.rows) *response.add_jobs() = std::move(job);
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<v1::ListTrialsResponse> ListTrialsPage(
    const v1::ListTrialsRequest& request, Store& store) {
  LATHE_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  LATHE_ASSIGN_OR_RETURN(
      Page<v1::Trial> page, ReadPage<v1::Trial>(page_size, [&](int rows) {
        return store.ListTrials(request.parent(), rows, request.page_token());
      }));
  v1::ListTrialsResponse response;
  for (v1::Trial& trial : page.rows) {
    *response.add_trials() = std::move(trial);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<v1::Trial> CreateTrialFrom(const v1::CreateTrialRequest& request,
                                          Store& store, JobControl& control) {
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(store, request.parent()));
  if (!job.has_baseline()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "BASELINE_MISSING",
                     absl::StrCat(job.name(),
                                  ": trial 0 is not measured yet, so the "
                                  "search space is unknown; try again later"));
  }
  LATHE_RETURN_IF_ERROR(WithReason(
      ValidatePlan(job.baseline().space(), request.plan()), "PLAN_INVALID"));
  v1::Proposal proposal;
  *proposal.mutable_plan() = request.plan();
  proposal.set_source(kUserSource);
  return control.AddUserTrial(job.name(), proposal);
}

}  // namespace lathe
