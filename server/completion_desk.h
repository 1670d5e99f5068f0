// Takes in what workers report.
#ifndef LATHE_SERVER_COMPLETION_DESK_H_
#define LATHE_SERVER_COMPLETION_DESK_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/worker.pb.h"
#include "server/frontier_tracker.h"
#include "server/lease_table.h"
#include "server/metrics.h"
#include "server/retry_holds.h"
#include "server/signals.h"
#include "server/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// What the desk works with; all must outlive it.
struct CompletionParts {
  Store* store = nullptr;
  BlobStore* blobs = nullptr;
  LeaseTable* leases = nullptr;
  WorkerRegistry* workers = nullptr;
  FrontierTracker* frontiers = nullptr;
  RetryHolds* holds = nullptr;
  const Signals* signals = nullptr;
  Metrics* metrics = nullptr;
};

// Ends attempts: checks the outcome, decides by the trial's earlier attempts
// what becomes of the trial, stores both, and tells whether its model is
// wanted. A measurement that cannot be true counts as a failure of the attempt.
// Thread-safe.
class CompletionDesk {
 public:
  explicit CompletionDesk(const CompletionParts& parts) : parts_(parts) {}

  // Errors: as Workers.CompleteTrial.
  absl::StatusOr<v1::CompleteTrialResponse> Complete(
      const v1::CompleteTrialRequest& request);

  // Errors: as Workers.AttachArtifact.
  absl::Status Attach(const v1::AttachArtifactRequest& request);

 private:
  // InvalidArgument: the outcome counts as a failure. `lease` as found.
  absl::Status Check(const v1::CompleteTrialRequest& request,
                     const std::optional<HeldLease>& lease);
  absl::Status CheckAgainstTrial(const v1::CompleteTrialRequest& request,
                                 const std::string& trial);
  absl::StatusOr<v1::TrialState> NextState(
      const v1::CompleteTrialRequest& request, const std::string& trial);
  absl::StatusOr<CompletionResult> Store(
      const v1::CompleteTrialRequest& request, v1::TrialState state);
  // What follows from a new completion, besides the trial itself.
  absl::Status Follow(const v1::CompleteTrialRequest& request,
                      const v1::Trial& trial);
  absl::Status BlameOthers(const v1::CompleteTrialRequest& request,
                           const v1::Trial& trial);
  absl::StatusOr<bool> IsArtifactWanted(const v1::Trial& trial);

  const CompletionParts parts_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_COMPLETION_DESK_H_
