// Trials that failed: how long they rest, and who should not get them next.
#ifndef LATHE_SERVER_RETRY_HOLDS_H_
#define LATHE_SERVER_RETRY_HOLDS_H_

#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/types.pb.h"

namespace lathe {

struct RetryTimes {
  // Rest after the first TRANSIENT failure of a trial; doubled with each more.
  absl::Duration first_rest = absl::Seconds(1);
  absl::Duration most_rest = absl::Seconds(60);
  // For so long a trial is kept for other workers than the one that failed it,
  // where there are others: only their word tells a sick worker from a sick
  // trial.
  absl::Duration others_first = absl::Seconds(10);
};

// A failed attempt.
struct FailedAttempt {
  std::string trial;
  std::string session;
  v1::OutcomeKind kind = v1::OUTCOME_UNSPECIFIED;
  // Leases of the trial so far, this one included; at least 1.
  int attempts = 1;
};

// In memory: after a restart nothing rests. The caller passes the time (always
// of one clock). Thread-safe.
class RetryHolds {
 public:
  explicit RetryHolds(const RetryTimes& times) : times_(times) {}

  void Add(const FailedAttempt& failed, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Names of the trials that `session` does not get at `now`.
  std::set<std::string> HeldFrom(absl::string_view session, int active_workers,
                                 absl::Time now) const ABSL_LOCKS_EXCLUDED(mu_);

  // Whether a hold ended since the last call: somebody may be waiting for it.
  bool TakeEnded(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Hold {
    std::string session;
    absl::Time rests_until;
    absl::Time others_until;
    bool has_rested = false;  // Told by TakeEnded.
  };

  const RetryTimes times_;
  mutable absl::Mutex mu_;
  std::map<std::string, Hold> holds_ ABSL_GUARDED_BY(mu_);  // By trial.
};

}  // namespace lathe

#endif  // LATHE_SERVER_RETRY_HOLDS_H_
