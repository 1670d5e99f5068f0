// Jobs and trials: what the requests about them ask of the store.
#ifndef LATHE_SERVER_JOB_REQUESTS_H_
#define LATHE_SERVER_JOB_REQUESTS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/search.pb.h"
#include "server/job_control.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// Checks a request and stores its job, or, with validate_only, returns the
// job that it would make, without a name.
//
// Errors:
//   InvalidArgument (FIELD_INVALID) - see CheckJobSpec, or request_id.
//   FailedPrecondition (BLOB_MISSING) - see CheckJobBlobs.
//   AlreadyExists (REQUEST_ID_REUSED) - it was used for another spec.
//   ResourceExhausted (QUOTA_JOBS) - the creator has as many as one may.
absl::StatusOr<v1::Job> CreateJobFrom(const v1::CreateJobRequest& request,
                                      const JobCreator& creator, Store& store,
                                      const BlobStore& blobs);

// Errors: NotFound (JOB_NOT_FOUND).
absl::StatusOr<v1::Job> FindJob(Store& store, absl::string_view name);

// Errors of both: InvalidArgument (FIELD_INVALID) - page_size;
// (PAGE_TOKEN_INVALID) - not this list's token; NotFound (JOB_NOT_FOUND).
absl::StatusOr<v1::ListJobsResponse> ListJobsPage(
    const v1::ListJobsRequest& request, Store& store);
// A page ends early when it would be too large for a message.
absl::StatusOr<v1::ListTrialsResponse> ListTrialsPage(
    const v1::ListTrialsRequest& request, Store& store);

// The job's trial with the plan, added unless there is one.
//
// Errors:
//   NotFound (JOB_NOT_FOUND).
//   FailedPrecondition (BASELINE_MISSING) - the search space is not known yet;
//     (JOB_ENDED).
//   InvalidArgument (PLAN_INVALID) - see ValidatePlan.
absl::StatusOr<v1::Trial> CreateTrialFrom(const v1::CreateTrialRequest& request,
                                          Store& store, JobControl& control);

}  // namespace lathe

#endif  // LATHE_SERVER_JOB_REQUESTS_H_
