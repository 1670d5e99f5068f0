// A worker's side of the Workers service: one session, one lease at a time.
#ifndef LATHE_CLIENT_WORKER_SERVER_LINK_H_
#define LATHE_CLIENT_WORKER_SERVER_LINK_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/channel.h"
#include "client/worker/worker_control.h"
#include "proto/worker.grpc.pb.h"

namespace lathe {

// How often to renew, as the server says.
struct RenewTimes {
  absl::Duration interval = absl::Seconds(5);
  absl::Duration give_up = absl::Seconds(20);
};

// A session id that nobody guesses. Random: after a lost node the old process
// may live on beside its replacement.
std::string NewSession();

// Every method makes one attempt with a deadline. Thread-safe.
class ServerLink {
 public:
  // `identity` goes along with the channel's calls; this sets its fence.
  ServerLink(std::shared_ptr<grpc::Channel> channel,
             std::shared_ptr<LeaseIdentity> identity,
             v1::Capabilities capabilities);

  // Opens the session, or opens it again after the server forgot it, with the
  // lease in hand.
  absl::Status Register() ABSL_LOCKS_EXCLUDED(mu_);

  // Waits for work; nothing when there is none, or `control` drains. The
  // lease given is the one in hand until Drop.
  absl::StatusOr<std::optional<v1::Lease>> WaitForLease(WorkerControl* control)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Drop() ABSL_LOCKS_EXCLUDED(mu_);
  // What the work on the lease in hand is at; "fetching" at first. Renewals
  // tell it.
  void SetStage(absl::string_view stage) ABSL_LOCKS_EXCLUDED(mu_);

  // Renews the lease in hand, if any; without one it only tells that the
  // worker lives, and hears whether it is drained.
  absl::StatusOr<v1::RenewLeasesResponse> Renew() ABSL_LOCKS_EXCLUDED(mu_);
  // Under the request's fence; the session is this link's.
  absl::StatusOr<v1::CompleteTrialResponse> Complete(
      v1::CompleteTrialRequest request);
  absl::Status Release(int64_t fence, v1::ReleaseLeasesRequest::Reason reason);

  RenewTimes renew_times() const ABSL_LOCKS_EXCLUDED(mu_);
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Workers::Stub> stub_;
  // Shared with the channel.
  const std::shared_ptr<LeaseIdentity> identity_;
  const v1::Capabilities capabilities_;
  mutable absl::Mutex mu_;
  std::optional<int64_t> fence_ ABSL_GUARDED_BY(mu_);
  std::string stage_ ABSL_GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point leased_at_ ABSL_GUARDED_BY(mu_);
  RenewTimes renew_times_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_SERVER_LINK_H_
