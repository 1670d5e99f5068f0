// Whether a job can be taken on.
#ifndef LATHE_SERVER_JOB_SPEC_CHECK_H_
#define LATHE_SERVER_JOB_SPEC_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"
#include "storage/blob_store.h"

namespace lathe {

// Whether every field is in range. `agents` are the names known.
//
// Errors:
//   InvalidArgument (FIELD_INVALID) - the message names the first field that
//     is not, its value and the rule; all are in the BadRequest detail.
absl::Status CheckJobSpec(const v1::JobSpec& spec,
                          absl::Span<const std::string> agents);

// Whether all blobs that the spec names are stored. REQUIRES: the spec is
// valid.
//
// Errors:
//   FailedPrecondition (BLOB_MISSING) - the message names field and digest.
absl::Status CheckJobBlobs(const v1::JobSpec& spec, const BlobStore& blobs);

// The spec with the defaults of unset fields filled in: threads, batch,
// objectives.
v1::JobSpec WithDefaults(v1::JobSpec spec);

// Errors:
//   InvalidArgument (FIELD_INVALID) - a bound is not a number in its range.
absl::Status CheckBudget(const v1::Budget& budget);
absl::Status CheckBounds(const v1::GetBestConfigurationRequest& bounds);

// The axes of the job's frontier, "latency" and "size".
std::vector<std::string> ObjectivesOf(const v1::JobSpec& spec);

// Errors:
//   InvalidArgument (FIELD_INVALID) - a name other than "latency" and "size",
//     or one twice.
absl::Status CheckObjectives(absl::Span<const std::string> objectives);

}  // namespace lathe

#endif  // LATHE_SERVER_JOB_SPEC_CHECK_H_
