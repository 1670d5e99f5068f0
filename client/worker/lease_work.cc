#include "client/worker/lease_work.h"

#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/log.h"
#include "base/status.h"
#include "client/blobs.h"
#include "client/retry.h"
#include "client/worker/lease_keeper.h"

namespace lathe {
namespace {

bool IsNoAnswer(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

// One round of retries of a transfer; short, so that a stop is soon seen.
RetryOptions TransferRetry() {
  RetryOptions options;
  options.give_up_after = absl::Seconds(5);
  return options;
}

std::set<std::string> DatasetDigests(const v1::DatasetSpec& data) {
  std::set<std::string> digests = {
      data.digest(), data.calibration_digest(), data.search_digest(),
      data.confirmation_digest(), data.report_digest()};
  digests.erase("");
  return digests;
}

v1::Outcome OutcomeOf(v1::OutcomeKind kind, const absl::Status& status) {
  v1::Outcome outcome;
  outcome.set_kind(kind);
  outcome.set_reason(std::string(status.message()));
  return outcome;
}

// What no other worker could get either is the input's fault.
v1::OutcomeKind KindOfBlobError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInvalidArgument:
      return v1::BAD_INPUT;
    default:
      return v1::TRANSIENT;
  }
}

v1::ReleaseLeasesRequest::Reason ReleaseReason(StopSignal::Reason reason) {
  switch (reason) {
    case StopSignal::Reason::kShutdown:
      return v1::ReleaseLeasesRequest::DRAIN;
    case StopSignal::Reason::kTimeLimit:
      return v1::ReleaseLeasesRequest::TIME_LIMIT;
    default:
      return v1::ReleaseLeasesRequest::PREEMPTED;
  }
}

class LeaseWork {
 public:
  LeaseWork(const WorkPlace& place, const v1::Lease& lease)
      : place_(place), lease_(lease) {}

  void Run() {
    absl::Cleanup clean_up = [this] { EmptyOutputFolder(); };
    absl::Status completed = absl::CancelledError("stopped");
    {
      place_.control->SetWork(&stop_);
      LeaseKeeper keeper(place_.link, place_.control, &stop_);
      const v1::EvaluationResponse response = EvaluateAndStoreStats();
      if (!stop_.is_stopped()) completed = CompleteWithArtifact(response);
      place_.control->SetWork(nullptr);
    }
    if (stop_.is_stopped() && !completed.ok()) GiveBack();
    place_.link->Drop();
  }

 private:
  // The response's outcome is set unless the work was stopped.
  v1::EvaluationResponse EvaluateAndStoreStats() {
    v1::EvaluationResponse response;
    v1::EvaluationRequest request;
    const absl::Status brought = BringBlobs(&request);
    if (!brought.ok()) {
      *response.mutable_outcome() =
          OutcomeOf(KindOfBlobError(brought), brought);
      return response;
    }
    place_.link->SetStage("evaluating");
    absl::StatusOr<v1::EvaluationResponse> evaluated =
        place_.evaluator->Evaluate(request, stop_);
    if (!evaluated.ok()) {
      *response.mutable_outcome() =
          OutcomeOf(v1::TRANSIENT, evaluated.status());
      return response;
    }
    response = *std::move(evaluated);
    place_.link->SetStage("reporting");
    if (!response.activation_stats_path().empty()) {
      const absl::Status stored =
          UploadWhileWorking(response.activation_stats_path()).status();
      if (!stored.ok()) {
        *response.mutable_outcome() = OutcomeOf(v1::TRANSIENT, stored);
      }
    }
    return response;
  }

  absl::Status BringBlobs(v1::EvaluationRequest* request) {
    const std::set<std::string> datasets =
        DatasetDigests(lease_.spec().dataset());
    std::set<std::string> digests = datasets;
    digests.insert(lease_.spec().model_digest());
    const std::string& stats = lease_.activation_stats_digest();
    if (!stats.empty()) digests.insert(stats);
    absl::StatusOr<std::map<std::string, std::string>> paths =
        place_.blobs->Bring(digests);
    while (IsNoAnswer(paths.status()) && !stop_.is_stopped()) {
      paths = place_.blobs->Bring(digests);
    }
    LATHE_RETURN_IF_ERROR(paths.status());
    v1::EvaluationJob* job = request->mutable_job();
    *job->mutable_spec() = lease_.spec();
    job->set_model_path((*paths)[lease_.spec().model_digest()]);
    for (const std::string& digest : datasets) {
      v1::BlobFile* file = job->add_datasets();
      file->set_digest(digest);
      file->set_path((*paths)[digest]);
    }
    if (!stats.empty()) job->set_activation_stats_path((*paths)[stats]);
    if (place_.pinned_core.has_value()) {
      job->set_pinned_core(*place_.pinned_core);
    }
    if (lease_.trial_number() != 0) *request->mutable_plan() = lease_.plan();
    if (lease_.has_rivals()) *request->mutable_rivals() = lease_.rivals();
    request->set_output_folder(place_.output_folder);
    return absl::OkStatus();
  }

  // The digest of what is then stored.
  absl::StatusOr<std::string> UploadWhileWorking(const std::string& path) {
    absl::StatusOr<std::string> digest;
    do {
      digest = UploadFile(place_.link->channel(), path, TransferRetry());
    } while (IsNoAnswer(digest.status()) && !stop_.is_stopped());
    return digest;
  }

  // The server asks for the model before it ends the trial, so that a worker
  // that dies in between costs this attempt, not the model.
  absl::Status CompleteWithArtifact(const v1::EvaluationResponse& response) {
    v1::CompleteTrialRequest request;
    request.set_fence(lease_.fence());
    *request.mutable_outcome() = response.outcome();
    request.set_offers_artifact(!response.artifact_path().empty());
    LATHE_ASSIGN_OR_RETURN(const v1::CompleteTrialResponse answer,
                           Complete(request));
    if (!answer.upload_artifact()) return absl::OkStatus();
    const absl::StatusOr<std::string> digest =
        UploadWhileWorking(response.artifact_path());
    if (stop_.is_stopped()) return absl::CancelledError("stopped");
    request.set_offers_artifact(false);
    if (digest.ok()) {
      request.set_artifact_digest(*digest);
    } else {
      // The measurement is worth keeping without.
      LATHE_LOG(kWarning) << lease_.trial()
                          << ": its model is not kept: " << digest.status();
    }
    return Complete(request).status();
  }

  // Repeats until the server has answered: the fence makes that safe. A lease
  // that this worker had given up may still be alive there, so that only the
  // end of the worker stops it.
  absl::StatusOr<v1::CompleteTrialResponse> Complete(
      v1::CompleteTrialRequest request) {
    Backoff backoff{RetryOptions()};
    for (;;) {
      absl::StatusOr<v1::CompleteTrialResponse> answer =
          place_.link->Complete(request);
      const absl::Status& status = answer.status();
      if (answer.ok() || absl::IsAborted(status)) {
        if (!answer.ok()) {
          LATHE_LOG(kWarning) << lease_.trial() << ": " << status;
        }
        return answer;
      }
      LATHE_LOG(kWarning) << lease_.trial() << ": completing: " << status;
      if (absl::IsNotFound(status)) {
        (void)place_.link->Register();
      } else if (!IsNoAnswer(status)) {
        if (request.outcome().kind() == v1::TRANSIENT) return answer;
        // The server will not have this outcome; it shall know why.
        *request.mutable_outcome() = OutcomeOf(
            v1::TRANSIENT, Annotate(status, "the server refused the outcome"));
        continue;
      }
      if (!place_.control->WaitUnlessTerminating(backoff.Next())) return answer;
    }
  }

  void GiveBack() {
    if (stop_.reason() == StopSignal::Reason::kLost) {
      LATHE_LOG(kInfo) << lease_.trial() << ": the lease is lost; stopped";
      return;
    }
    const absl::Status status =
        place_.link->Release(lease_.fence(), ReleaseReason(stop_.reason()));
    LATHE_LOG(kInfo) << lease_.trial() << ": given back: " << status;
  }

  void EmptyOutputFolder() {
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::directory_iterator(place_.output_folder, ignored)) {
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  const WorkPlace& place_;
  const v1::Lease& lease_;
  StopSignal stop_;
};

}  // namespace

void RunLease(const WorkPlace& place, const v1::Lease& lease) {
  LeaseWork(place, lease).Run();
}

}  // namespace lathe
