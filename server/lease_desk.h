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
#include "server/frontier_tracker.h"
#include "server/job_control.h"
#include "server/lease_table.h"
#include "server/lease_terms.h"
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

// One thread grants: to all callers that came meanwhile in one transaction, and
// of callers with one hardware profile to only as many as there is work for.
// Callers that find no work are parked and tried again, in their order, when
// trials become pending. Thread-safe.
class LeaseDesk {
 public:
  // All must outlive this.
  LeaseDesk(Store* store, LeaseTable* leases, WorkerRegistry* workers,
            JobControl* control, RetryHolds* holds, FrontierTracker* frontiers,
            const Signals* signals, Metrics* metrics, const LeaseTimes& times);
  ~LeaseDesk();
  LeaseDesk(const LeaseDesk&) = delete;
  LeaseDesk& operator=(const LeaseDesk&) = delete;

  // Answers the call later. Returns at once.
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
  // A call and what it got.
  struct Grant {
    LeaseCall call;
    std::vector<GrantedLease> leases;
  };
  using TermsByJob = std::map<std::string, absl::StatusOr<JobTerms>>;

  void ServeCalls() ABSL_LOCKS_EXCLUDED(mu_);
  // One round over the calls; when to look again at the latest.
  absl::Time ServeOnce() ABSL_LOCKS_EXCLUDED(mu_);
  // Answers calls whose caller left, called again or waited long enough, and
  // returns the others.
  std::vector<LeaseCall> AnswerOver(std::vector<LeaseCall> parked,
                                    const std::vector<LeaseCall>& arrived);
  // Grants what there is to at most kMostGrantsAtOnce calls, in one
  // transaction, and answers those that get something; returns the others.
  // `has_news`: work came since they were last tried.
  std::vector<LeaseCall> AnswerGranted(std::vector<LeaseCall> calls,
                                       bool has_news);
  // What a call wishes for, or nothing when it can have no lease now. Answers
  // a call that is to wait no more: then `call.answer` is null.
  std::optional<LeaseWish> WishOf(LeaseCall& call, int active_workers,
                                  bool has_news);
  // Notes what the session says of its time; whether it may get leases.
  bool MayLease(const LeaseCall& call, const WorkerRegistry::Session& worker);
  void Announce(std::vector<Grant>& grants);
  // Tells the caller what it got, or takes it back when that has left.
  void Answer(Grant& grant, const TermsByJob& terms);
  // Terms of a job's leases. Ends them if it ended while they were granted:
  // then their workers are told to stop.
  absl::StatusOr<JobTerms> TermsOf(const std::string& job);
  absl::StatusOr<v1::Lease> MakeLease(GrantedLease granted,
                                      const JobTerms& terms) const;
  void ParkAgain(std::vector<LeaseCall> calls) ABSL_LOCKS_EXCLUDED(mu_);

  Store& store_;
  LeaseTable& leases_;
  WorkerRegistry& workers_;
  JobControl& control_;
  RetryHolds& holds_;
  FrontierTracker& frontiers_;
  const Signals& signals_;
  Metrics& metrics_;
  const LeaseTimes times_;
  Wakeup wakeup_;

  absl::Mutex mu_;
  bool is_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool is_stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Counts NotifyPending, so that none is missed between looking and parking.
  int64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // Not tried yet.
  std::vector<LeaseCall> arrived_ ABSL_GUARDED_BY(mu_);
  std::vector<LeaseCall> parked_ ABSL_GUARDED_BY(mu_);

  LeaseTerms terms_;
  int64_t served_generation_ = 0;  // Used by the thread only.
  std::thread thread_;             // Last: it uses all of the above.
};

}  // namespace lathe

#endif  // LATHE_SERVER_LEASE_DESK_H_
