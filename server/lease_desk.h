// Grants leases, at once or as soon as there is work.
#ifndef LATHE_SERVER_LEASE_DESK_H_
#define LATHE_SERVER_LEASE_DESK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/worker.pb.h"
#include "server/job_control.h"
#include "server/lease_table.h"
#include "server/metrics.h"
#include "server/retry_holds.h"
#include "server/signals.h"
#include "server/steady.h"
#include "server/worker_registry.h"
#include "storage/store.h"

namespace lathe {

// One LeaseTrials call.
struct LeaseCall {
  v1::LeaseTrialsRequest request;
  // When it is answered with nothing (SteadyNow's).
  absl::Time deadline;
  // Whether its caller has left. Thread-safe; not called after `answer`.
  std::function<bool()> is_gone;
  // Called exactly once.
  std::function<void(absl::StatusOr<v1::LeaseTrialsResponse>)> answer;
};

// Callers that find no work are parked and tried again, in their order, when
// trials become pending: many in one transaction, and of callers with one
// hardware profile only as many as there is work for.
// Thread-safe.
class LeaseDesk {
 public:
  // All must outlive this.
  LeaseDesk(Store* store, LeaseTable* leases, WorkerRegistry* workers,
            JobControl* control, RetryHolds* holds, const Signals* signals,
            Metrics* metrics, const LeaseTimes& times);
  ~LeaseDesk();
  LeaseDesk(const LeaseDesk&) = delete;
  LeaseDesk& operator=(const LeaseDesk&) = delete;

  // Answers the call, now or later; waits for the disk.
  void Lease(LeaseCall call) ABSL_LOCKS_EXCLUDED(mu_);

  // Trials may have become pending. Returns at once.
  void NotifyPending() ABSL_LOCKS_EXCLUDED(mu_);
  // A parked caller may have left. Returns at once.
  void NotifyGone() { wakeup_.Set(); }

  // Takes the store's active attempts into the table, with a long lease.
  absl::Status Restore();
  // Ends leases that expired at `now`; their trials are pending again. Failed
  // trials that rested long enough are offered again.
  void Sweep(absl::Time now);
  // Ends leases without a result.
  absl::Status Release(absl::Span<const int64_t> fences, absl::string_view why);

  // Answers all parked calls with nothing, and later ones with Unavailable.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Trials that failed lately and are not for this session now.
  std::set<std::string> HeldFrom(absl::string_view session);
  // Notes what the session says of its time; whether it may get leases.
  bool MayLease(const LeaseCall& call, const WorkerRegistry::Session& worker);
  // The leases that the call can have now; none is not an error.
  absl::StatusOr<v1::LeaseTrialsResponse> TryGrant(const LeaseCall& call);
  absl::StatusOr<v1::LeaseTrialsResponse> Announce(
      const std::vector<GrantedLease>& granted, const std::string& session);
  absl::Status FillLease(const GrantedLease& granted, v1::Lease& lease)
      ABSL_LOCKS_EXCLUDED(terms_mu_);
  // What all leases of a job say of it; read once its baseline stands.
  struct JobTerms {
    v1::JobSpec spec;
    std::string activation_stats_digest;
  };
  absl::StatusOr<JobTerms> TermsOf(const std::string& job)
      ABSL_LOCKS_EXCLUDED(terms_mu_);
  // False when the call was not parked because there was news after
  // `generation`; then it is to be tried again.
  bool Park(LeaseCall& call, int64_t generation) ABSL_LOCKS_EXCLUDED(mu_);
  int64_t generation() ABSL_LOCKS_EXCLUDED(mu_);
  bool is_closed() ABSL_LOCKS_EXCLUDED(mu_);

  void ServeParked() ABSL_LOCKS_EXCLUDED(mu_);
  // One round over the parked calls; when to look again at the latest.
  absl::Time ServeOnce() ABSL_LOCKS_EXCLUDED(mu_);
  // Answers a call whose caller left or whose time is over.
  bool AnswerIfOver(LeaseCall& call);
  // What a call wishes for, or nothing when it can have no lease now. Answers
  // a call that is to wait no more: then `call.answer` is null.
  std::optional<LeaseWish> WishOf(LeaseCall& call);
  // Grants what there is to calls, in one transaction, and answers those that
  // get something; returns the others.
  std::vector<LeaseCall> AnswerGranted(std::vector<LeaseCall> calls);
  // Tells `granted` to the caller, or takes it back when that has left.
  void AnswerWith(LeaseCall& call, const std::vector<GrantedLease>& granted);
  void ParkAgain(std::vector<LeaseCall> calls) ABSL_LOCKS_EXCLUDED(mu_);

  Store& store_;
  LeaseTable& leases_;
  WorkerRegistry& workers_;
  JobControl& control_;
  RetryHolds& holds_;
  const Signals& signals_;
  Metrics& metrics_;
  const LeaseTimes times_;
  Wakeup wakeup_;

  absl::Mutex mu_;
  bool is_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool is_stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Counts NotifyPending, so that none is missed between looking and parking.
  int64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<LeaseCall> parked_ ABSL_GUARDED_BY(mu_);

  absl::Mutex terms_mu_;
  std::map<std::string, JobTerms> terms_ ABSL_GUARDED_BY(terms_mu_);  // By job.

  int64_t served_generation_ = 0;  // Used by the thread only.
  std::thread thread_;             // Last: it uses all of the above.
};

}  // namespace lathe

#endif  // LATHE_SERVER_LEASE_DESK_H_
