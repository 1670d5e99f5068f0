// The workers that were heard of lately.
#ifndef LATHE_SERVER_WORKER_REGISTRY_H_
#define LATHE_SERVER_WORKER_REGISTRY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/artifact.pb.h"
#include "proto/worker.pb.h"
#include "storage/store.h"

namespace lathe {

// Sessions of worker processes, in memory: after a restart of the server the
// workers register again. Time is SteadyNow's. Thread-safe.
class WorkerRegistry {
 public:
  // A worker silent for longer is lost. Above the longest poll (30 s), between
  // two of which an idle worker says nothing.
  static constexpr absl::Duration kLostAfter = absl::Seconds(45);
  // A worker silent for longer is forgotten.
  static constexpr absl::Duration kForgottenAfter = absl::Hours(1);

  // What the server needs to know to give a session work.
  struct Session {
    v1::HardwareProfile profile;
    // No new leases: drained by an administrator, or cordoned.
    bool is_closed = false;
    bool is_draining = false;
    // About the longest of the latest evaluations: the session's own, or,
    // before its first, everybody's. 0 before any.
    double longest_evaluation_seconds = 0;
  };

  // Opens or renews a session, which is then `caller`'s.
  void Register(absl::string_view session, const WorkerRecord& record,
                const v1::Capabilities& capabilities, absl::Time now,
                absl::string_view caller = "") ABSL_LOCKS_EXCLUDED(mu_);

  // OK for a session that is not known, too.
  // Errors: PermissionDenied (SESSION_NOT_YOURS) - others opened it.
  absl::Status CheckOwner(absl::string_view session,
                          absl::string_view caller) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes a sign of life of a worker that is known.
  void NoteHeard(absl::string_view session, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and tells what is known of it.
  // Errors: NotFound (SESSION_UNKNOWN).
  absl::StatusOr<Session> Hear(absl::string_view session, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes a trial that the session ended.
  void NoteCompleted(absl::string_view session, double evaluation_seconds)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes whether the session has too little time left for another trial.
  void NoteEnding(absl::string_view session, bool is_ending)
      ABSL_LOCKS_EXCLUDED(mu_);

  // No more leases for the worker. Nothing happens when it is not known.
  void Drain(absl::string_view worker) ABSL_LOCKS_EXCLUDED(mu_);

  // Lets no more leases go to the worker, or lets them again. Nothing happens
  // when it is not known.
  void SetCordoned(absl::string_view worker, bool is_cordoned)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Notes that a trial which the session failed passed elsewhere. The third
  // since the session's last completed trial cordons its worker: no new
  // leases. Returns the worker's name when that happens now.
  std::optional<std::string> NotePassedElsewhere(absl::string_view session)
      ABSL_LOCKS_EXCLUDED(mu_);

  bool IsDraining(absl::string_view session) const ABSL_LOCKS_EXCLUDED(mu_);

  // Workers that were heard of lately and may get leases.
  int CountActive(absl::Time now) const ABSL_LOCKS_EXCLUDED(mu_);

  // By name. `leases` are the active ones by session.
  std::vector<v1::WorkerInfo> List(const std::map<std::string, int>& leases,
                                   absl::Time now) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Of the workers that are known.
  std::set<std::string> Sessions() const ABSL_LOCKS_EXCLUDED(mu_);

  // Forgets workers that were silent for kForgottenAfter.
  void Forget(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string name;
    std::string caller;
    v1::Capabilities capabilities;
    absl::Time heard;
    bool is_draining = false;
    bool is_cordoned = false;
    bool is_ending = false;
    int passed_elsewhere = 0;  // Since the last completed trial.
    int64_t completed_trials = 0;
    double longest_evaluation_seconds = 0;
  };

  mutable absl::Mutex mu_;
  std::map<std::string, Entry, std::less<>> entries_
      ABSL_GUARDED_BY(mu_);  // By session.
  double longest_evaluation_seconds_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace lathe

#endif  // LATHE_SERVER_WORKER_REGISTRY_H_
