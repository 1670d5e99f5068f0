// Which measured trials are on a frontier, as results come in.
#ifndef LATHE_SERVER_FRONTIER_TRACKER_H_
#define LATHE_SERVER_FRONTIER_TRACKER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/growing_frontier.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

// The frontiers of every job in use, one for each choice of axes, in memory, so
// that neither a completion nor a query reads all trials. A trial on any of
// them is exportable: what a user may ask for, whichever bounds are given. So
// is the solver's answer for the job's budget, whatever dominates it.
// Jobs are named "jobs/{job}". Thread-safe.
class FrontierTracker {
 public:
  // `store` must outlive this.
  explicit FrontierTracker(Store* store) : store_(*store) {}

  // Takes in a measured trial of the job; again with the same trial changes
  // nothing. Whether it is exportable now.
  absl::StatusOr<bool> Add(absl::string_view job, const v1::Trial& trial)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether it would be, once measured, without taking it in: by its number,
  // measurement and proposal's source alone.
  absl::StatusOr<bool> WouldEnter(absl::string_view job, const v1::Trial& trial)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Numbers of the trials on the frontier of `objectives`, ascending.
  absl::StatusOr<std::vector<int64_t>> Frontier(
      absl::string_view job, absl::Span<const std::string> objectives)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Numbers of the exportable trials, ascending.
  absl::StatusOr<std::vector<int64_t>> Exportable(absl::string_view job)
      ABSL_LOCKS_EXCLUDED(mu_);

  void Forget(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);
  // Forgets the frontiers that nobody used after `before` (SteadyNow's); they
  // are read again when somebody does.
  void ForgetUnused(absl::Time before) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Frontiers {
    // By latency, by size, and by both.
    std::vector<GrowingFrontier> by_axes;
    std::set<int64_t> solvers_answers;
  };

  struct Entry {
    Frontiers frontiers;
    absl::Time used;
  };

  // Whether the trial is exportable now.
  static bool AddTo(const v1::Trial& trial, Frontiers& frontiers);

  // Reads the job's trials on its first use.
  absl::Status Load(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);
  Frontiers& Of(absl::string_view job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Store& store_;
  absl::Mutex mu_;
  std::map<std::string, Entry, std::less<>> entries_
      ABSL_GUARDED_BY(mu_);  // By job.
};

}  // namespace lathe

#endif  // LATHE_SERVER_FRONTIER_TRACKER_H_
