// When each lease ends, in memory.
#ifndef LATHE_SERVER_LEASE_TABLE_H_
#define LATHE_SERVER_LEASE_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"
#include "server/retry_holds.h"

namespace lathe {

// How long leases live. Tests shorten them.
struct LeaseTimes {
  // From a grant or renewal to the end.
  absl::Duration ttl = absl::Seconds(30);
  // How often workers are told to renew: five may be lost.
  absl::Duration renew_interval = absl::Seconds(5);
  // A worker that could not renew for this long stops by itself, before the
  // server would give its trial to another.
  absl::Duration give_up = absl::Seconds(20);
  // How often ended leases are looked for.
  absl::Duration sweep_interval = absl::Seconds(1);
  // How failed trials rest.
  RetryTimes retry;
  // What active leases get when the server starts: workers need time to find
  // it again.
  absl::Duration restart_ttl = absl::Seconds(60);
};

// An active lease that is still wanted.
struct HeldLease {
  int64_t fence = 0;
  std::string session;
  std::string trial;
};

// Active leases by fence. The database is touched at grant and completion
// only; this table decides in between. The caller passes the time (any clock,
// always the same). Thread-safe.
class LeaseTable {
 public:
  void Add(int64_t fence, absl::string_view session, absl::string_view trial,
           absl::Time expires_at) ABSL_LOCKS_EXCLUDED(mu_);

  // GO_ON, and the lease then ends at `expires_at`; STOP, when nobody wants
  // its trial any more; LOST, when it ended or is another session's.
  v1::RenewLeasesResponse::Verdict Renew(int64_t fence,
                                         absl::string_view session,
                                         absl::Time expires_at)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes how far a lease's evaluation is; nothing for a lease that ended or
  // is another session's.
  void NoteProgress(int64_t fence, absl::string_view session,
                    const v1::TrialProgress& progress) ABSL_LOCKS_EXCLUDED(mu_);
  // Of the trial's wanted lease, once noted.
  std::optional<v1::TrialProgress> ProgressOf(absl::string_view trial) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // The job's wanted leases by the stage that was noted; "" before.
  std::map<std::string, int> CountStages(absl::string_view job) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Nothing when the lease ended or nobody wants its trial any more.
  std::optional<HeldLease> Find(int64_t fence) const ABSL_LOCKS_EXCLUDED(mu_);

  // Fences of the session's wanted leases, ascending.
  std::vector<int64_t> HeldBy(absl::string_view session) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Forgets a lease. Nothing happens when there is none.
  void Remove(int64_t fence) ABSL_LOCKS_EXCLUDED(mu_);

  // Removes all leases that expired at or before `now` and returns those that
  // were wanted, by fence.
  std::vector<HeldLease> TakeExpired(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // Marks all leases of a job's trials as no longer wanted, and returns the
  // fences of those that were, ascending. They stay until they expire, so that
  // renewals are answered with STOP.
  std::vector<int64_t> Unwant(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);

  // Wanted leases by session.
  std::map<std::string, int> CountBySession() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string session;
    std::string trial;
    absl::Time expires_at;
    bool is_wanted = true;
    std::optional<v1::TrialProgress> progress;
  };

  mutable absl::Mutex mu_;
  std::map<int64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);  // By fence.
};

}  // namespace lathe

#endif  // LATHE_SERVER_LEASE_TABLE_H_
