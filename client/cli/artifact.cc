#include "client/cli/artifact.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "client/blobs.h"
#include "compressor/packed_model.h"
#include "proto/names.h"
#include "proto/plan.h"

namespace lathe {
namespace {

absl::Status CheckHasArtifact(const v1::Trial& trial) {
  if (!trial.artifact_digest().empty()) return absl::OkStatus();
  if (trial.state() != v1::TRIAL_MEASURED) {
    return absl::FailedPreconditionError(
        absl::StrCat(trial.name(), " is ", TrialStateName(trial.state()),
                     ": only measured trials have a model"));
  }
  if (!IsMeasuredWhole(trial)) {
    const int64_t winner = trial.measurement().early_stop().beaten_by();
    return absl::FailedPreconditionError(absl::StrCat(
        trial.name(), " has no model: it ended on a first look",
        winner > 0 ? absl::StrCat(", beaten by trial ", winner) : "",
        "; `lathe frontier` has the trials that were measured whole"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      trial.name(),
      " has no stored model: it was not on the frontier when it was measured, "
      "or its worker could not store it; make it again with `lathe-worker "
      "trial MODEL --plan PLAN --export FILE` from the plan that `lathe "
      "--output json trials JOB` shows"));
}

}  // namespace

absl::StatusOr<int64_t> WriteArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const v1::Trial& trial,
    ArtifactFormat format, const std::string& path) {
  LATHE_RETURN_IF_ERROR(CheckHasArtifact(trial));
  LATHE_ASSIGN_OR_RETURN(std::string bytes,
                         DownloadBlob(channel, trial.artifact_digest()));
  if (format == ArtifactFormat::kPacked) {
    LATHE_ASSIGN_OR_RETURN(bytes, PackModel(bytes));
  }
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
  return static_cast<int64_t>(bytes.size());
}

}  // namespace lathe
