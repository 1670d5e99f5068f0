#include "server/blob_access.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/call_gate.h"
#include "server/errors.h"
#include "server/resource_names.h"

namespace lathe {
namespace {

absl::Status NotLeased(absl::string_view what) {
  return MakeError(absl::StatusCode::kPermissionDenied, "NOT_LEASED",
                   absl::StrCat(what,
                                "; a worker touches only blobs of the "
                                "lease that it works for"));
}

bool RefersTo(const v1::Job& job, absl::string_view digest) {
  const v1::DatasetSpec& data = job.spec().dataset();
  const absl::string_view digests[] = {
      job.spec().model_digest(),
      data.digest(),
      data.calibration_digest(),
      data.search_digest(),
      data.confirmation_digest(),
      data.report_digest(),
      job.baseline().activation_stats_digest()};
  return std::find(std::begin(digests), std::end(digests), digest) !=
         std::end(digests);
}

}  // namespace

absl::StatusOr<AttemptRecord> BlobAccess::FindAttempt(
    const grpc::CallbackServerContext& context, const Caller& caller) {
  const std::string session = MetadataOf(context, "lathe-session");
  int64_t fence = 0;
  if (session.empty() ||
      !absl::SimpleAtoi(MetadataOf(context, "lathe-fence"), &fence)) {
    return NotLeased("the call names no lease (lathe-session, lathe-fence)");
  }
  LATHE_RETURN_IF_ERROR(workers_.CheckOwner(session, caller.name));
  absl::StatusOr<AttemptRecord> attempt = store_.GetAttempt(fence);
  if (!attempt.ok() && !absl::IsNotFound(attempt.status())) return attempt;
  if (!attempt.ok() || attempt->session != session) {
    return NotLeased(absl::StrCat("fence ", fence, " is not this session's"));
  }
  if (!attempt->is_active) {
    return NotLeased(absl::StrCat("fence ", fence, " has ended"));
  }
  return attempt;
}

absl::Status BlobAccess::CheckRead(const grpc::CallbackServerContext& context,
                                   const Caller& caller,
                                   absl::string_view digest) {
  if (caller.role != Role::kWorker) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const AttemptRecord attempt,
                         FindAttempt(context, caller));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job,
                         store_.GetJob(JobOfTrial(attempt.trial_name)));
  if (RefersTo(job, digest)) return absl::OkStatus();
  return NotLeased(absl::StrCat(job.name(), " does not refer to blob ",
                                digest.substr(0, 64)));
}

absl::Status BlobAccess::CheckWrite(const grpc::CallbackServerContext& context,
                                    const Caller& caller) {
  if (caller.role != Role::kWorker) return absl::OkStatus();
  return FindAttempt(context, caller).status();
}

}  // namespace lathe
