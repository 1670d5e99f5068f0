// One simulated worker: the protocol is real, the evaluation sleeps.
#ifndef LATHE_EXPERIMENTS_LOAD_LOAD_SESSION_H_
#define LATHE_EXPERIMENTS_LOAD_LOAD_SESSION_H_

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "evaluator/testing/simulated_evaluator.h"
#include "experiments/load/latency_sample.h"
#include "proto/worker.grpc.pb.h"

namespace lathe {

struct LoadOptions {
  // Slept for every evaluation.
  absl::Duration evaluation;
  // Set: the session keeps its first lease and renews it this often, and
  // completes nothing.
  std::optional<absl::Duration> renewal_interval;
};

// How far a run is; the same for all its sessions.
struct LoadPhase {
  // Only what happens from then on is counted.
  std::atomic<bool> is_measuring{false};
  std::atomic<bool> is_stopping{false};
};

// What a session did.
struct LoadTally {
  int64_t pairs = 0;  // Lease and completion, both answered.
  int64_t errors = 0;
  absl::Duration busy;  // In evaluations.
  LatencySample lease;  // Calls that brought a lease.
  LatencySample completion;
  LatencySample renewal;
};

// Calls one after the other over gRPC's callback API, so that a thousand fit
// into one process of few threads. Every error is counted and the call tried
// again after a moment. The tally is to be read after `ended` was called.
class LoadSession {
 public:
  // Both pointers must outlive this.
  LoadSession(const std::shared_ptr<grpc::Channel>& channel,
              const LoadOptions& options, const LoadPhase* phase,
              std::function<void()> ended);

  void Start() { Register(); }
  const LoadTally& tally() const { return tally_; }

 private:
  void Register();
  void Lease();
  void TakeLease();
  void Evaluate();
  void Complete();
  void Renew();
  // Calls `next` at a time from now, or ends.
  void Later(absl::Duration wait, std::function<void()> next);
  void Retry(std::function<void()> next);
  void Note(LatencySample& sample);
  // A new context with a deadline; the call begins now.
  grpc::ClientContext* NewCall();

  const std::unique_ptr<v1::Workers::Stub> stub_;
  const LoadOptions options_;
  const LoadPhase& phase_;
  const std::function<void()> ended_;
  const std::string session_;
  SimulatedEvaluator evaluator_;
  LoadTally tally_;

  // Of the call or the wait under way.
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::Alarm> alarm_;
  absl::Time call_start_;
  v1::RegisterWorkerRequest register_request_;
  v1::RegisterWorkerResponse register_response_;
  v1::LeaseTrialsRequest lease_request_;
  v1::LeaseTrialsResponse lease_response_;
  v1::CompleteTrialRequest complete_request_;
  v1::CompleteTrialResponse complete_response_;
  v1::RenewLeasesRequest renew_request_;
  v1::RenewLeasesResponse renew_response_;
};

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_LOAD_LOAD_SESSION_H_
