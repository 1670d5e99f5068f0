// Takes in what workers report.
#ifndef LATHE_SERVER_COMPLETION_DESK_H_
#define LATHE_SERVER_COMPLETION_DESK_H_

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/queue.h"
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
  // Whether trials may wait for another to end.
  bool frees_quota = false;
};

// One CompleteTrial call.
struct CompletionCall {
  // Lives until the call is answered.
  const v1::CompleteTrialRequest* request = nullptr;
  // Called exactly once. Errors: as Workers.CompleteTrial.
  std::function<void(absl::StatusOr<v1::CompleteTrialResponse>)> answer;
};

// Ends attempts: checks the outcome, decides by the trial's earlier attempts
// what becomes of the trial, and stores both. A trial that would enter the
// frontier is not ended before its model has come, if the worker offers that:
// so a worker that dies costs an attempt and never a model. A measurement that
// cannot be true counts as a failure of the attempt.
// One thread does this for all calls that came meanwhile, in one transaction.
// Thread-safe.
class CompletionDesk {
 public:
  explicit CompletionDesk(const CompletionParts& parts);
  // Answers what is left.
  ~CompletionDesk();
  CompletionDesk(const CompletionDesk&) = delete;
  CompletionDesk& operator=(const CompletionDesk&) = delete;

  // Answers the call later. Returns at once.
  void Complete(CompletionCall call);

 private:
  // A call whose completion is to be stored.
  struct Checked {
    CompletionCall call;
    // InvalidArgument: the outcome counts as a failure.
    absl::Status check;
  };

  void ServeCalls();
  // At most kMostAtOnce calls.
  void ServeBatch(std::vector<CompletionCall> calls);
  // What is to be stored for a request that was checked, with the outcome that
  // counts; nothing when its model is to come first.
  absl::StatusOr<std::optional<Completion>> Prepare(
      const v1::CompleteTrialRequest& request,
      const std::optional<HeldLease>& lease, const absl::Status& check);
  absl::StatusOr<bool> AwaitsArtifact(const v1::CompleteTrialRequest& request,
                                      const std::optional<HeldLease>& lease,
                                      const Completion& completion);
  // The answer to a call whose completion was stored, or not.
  absl::StatusOr<v1::CompleteTrialResponse> Settle(
      const absl::Status& check, const Completion& completion,
      const absl::StatusOr<CompletionResult>& stored);
  // InvalidArgument: the outcome counts as a failure. `lease` as found.
  absl::Status Check(const v1::CompleteTrialRequest& request,
                     const std::optional<HeldLease>& lease);
  absl::Status CheckAgainstTrial(const v1::CompleteTrialRequest& request,
                                 const std::string& trial);
  absl::StatusOr<v1::TrialState> NextState(const Completion& completion,
                                           const std::string& trial);
  // What follows from a new completion, besides the trial itself.
  absl::Status Follow(const Completion& completion, const v1::Trial& trial);
  absl::Status BlameOthers(const std::string& session, const v1::Trial& trial);

  const CompletionParts parts_;
  BlockingQueue<CompletionCall> calls_;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace lathe

#endif  // LATHE_SERVER_COMPLETION_DESK_H_
