// A job's way through its states.
#ifndef LATHE_SERVER_JOB_CONTROL_H_
#define LATHE_SERVER_JOB_CONTROL_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "server/lease_table.h"
#include "server/signals.h"
#include "storage/store.h"

namespace lathe {

// Changes states one at a time, so that what a user asks for is never undone
// by a search loop that read the state before. Ending a job ends its leases.
// Thread-safe.
//
// Errors of every method: NotFound (JOB_NOT_FOUND); FailedPrecondition
// (JOB_ENDED) - the job has ended in another state.
class JobControl {
 public:
  // All must outlive this.
  JobControl(Store* store, LeaseTable* leases, const Signals* signals)
      : store_(*store), leases_(*leases), signals_(*signals) {}

  // PENDING becomes RUNNING; any other state stays.
  absl::Status Start(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<v1::Job> Pause(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);
  // PAUSED becomes RUNNING; any other state stays.
  absl::StatusOr<v1::Job> Resume(absl::string_view job)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<v1::Job> Cancel(absl::string_view job)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the job unless a trial is pending or leased.
  absl::Status Finish(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);
  // Adds trials, in one transaction; no job finishes in between.
  absl::Status AddTrials(absl::string_view job,
                         absl::Span<const v1::Proposal> proposals)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Fail(absl::string_view job, absl::string_view reason)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Adds a trial that has the measurement of `source` from the start: no
  // worker can lease it in between.
  absl::StatusOr<v1::Trial> AddReusedTrial(absl::string_view job,
                                           const v1::Proposal& proposal,
                                           const v1::Trial& source)
      ABSL_LOCKS_EXCLUDED(mu_, grant_gate_);
  // The job's first trial with the proposal's plan, added unless there is one.
  absl::StatusOr<v1::Trial> AddUserTrial(absl::string_view job,
                                         const v1::Proposal& proposal)
      ABSL_LOCKS_EXCLUDED(mu_);

  // To be held by readers while leases are granted.
  absl::Mutex& grant_gate() { return grant_gate_; }

 private:
  absl::StatusOr<v1::Trial> Add(absl::string_view job,
                                const v1::Proposal& proposal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<v1::Job> Set(absl::string_view job, v1::JobState state,
                              absl::string_view reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndLeases(absl::string_view job);

  Store& store_;
  LeaseTable& leases_;
  const Signals& signals_;
  // Both are held over transactions: changes of state, and plans that were
  // measured before, are rare.
  absl::Mutex mu_;
  absl::Mutex grant_gate_ ABSL_ACQUIRED_AFTER(mu_);
};

}  // namespace lathe

#endif  // LATHE_SERVER_JOB_CONTROL_H_
