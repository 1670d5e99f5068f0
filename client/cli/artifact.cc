#include "client/cli/artifact.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "client/blobs.h"
#include "client/search_client.h"
#include "compressor/packed_model.h"
#include "proto/names.h"

namespace lathe {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);

}  // namespace

absl::StatusOr<v1::Trial> AwaitArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& job,
    int64_t number, absl::Duration patience) {
  const SearchClient client(channel);
  const absl::Time give_up = absl::Now() + patience;
  while (true) {
    LATHE_ASSIGN_OR_RETURN(v1::Trial trial, client.GetTrial(job, number));
    if (!trial.artifact_digest().empty()) return trial;
    if (trial.state() != v1::TRIAL_MEASURED) {
      return absl::FailedPreconditionError(
          absl::StrCat("trial ", number, " is ", TrialStateName(trial.state()),
                       ": only measured trials have a model"));
    }
    if (absl::Now() >= give_up) {
      return absl::FailedPreconditionError(absl::StrCat(
          "trial ", number, " has no stored model: only trials that were on ",
          "the frontier when they were measured keep theirs"));
    }
    absl::SleepFor(kPollInterval);
  }
}

absl::StatusOr<int64_t> WriteArtifact(
    const std::shared_ptr<grpc::Channel>& channel, const v1::Trial& trial,
    ArtifactFormat format, const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(std::string bytes,
                         DownloadBlob(channel, trial.artifact_digest()));
  if (format == ArtifactFormat::kPacked) {
    LATHE_ASSIGN_OR_RETURN(bytes, PackModel(bytes));
  }
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
  return static_cast<int64_t>(bytes.size());
}

}  // namespace lathe
