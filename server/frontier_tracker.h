// Which measured trials are on a frontier, as results come in.
#ifndef LATHE_SERVER_FRONTIER_TRACKER_H_
#define LATHE_SERVER_FRONTIER_TRACKER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

// A trial as far as frontiers look at it: without plan and layers.
v1::Trial FrontierPoint(const v1::Trial& trial);

// Those of `trials` that are on the frontier of `objectives` or on that of
// latency and size together: what a user may ask to have exported, whichever
// bounds are given. Ascending by trial number.
std::vector<v1::Trial> ExportableTrials(
    absl::Span<const v1::Trial> trials,
    absl::Span<const std::string> objectives);

// The exportable trials of every job that completes trials, in memory, so that
// a completion need not read all trials. Thread-safe.
class FrontierTracker {
 public:
  // `store` must outlive this.
  explicit FrontierTracker(Store* store) : store_(*store) {}

  // Takes in a measured trial of the job; again with the same trial changes
  // nothing. Whether it is exportable now.
  absl::StatusOr<bool> Add(const v1::Job& job, const v1::Trial& trial)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether a new trial with the measurement of `trial`, of whichever job,
  // would be, without taking it in.
  absl::StatusOr<bool> WouldEnter(const v1::Job& job, const v1::Trial& trial)
      ABSL_LOCKS_EXCLUDED(mu_);

  void Forget(absl::string_view job) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Reads the job's trials on its first use.
  absl::Status Load(const v1::Job& job) ABSL_LOCKS_EXCLUDED(mu_);

  Store& store_;
  absl::Mutex mu_;
  std::map<std::string, std::vector<v1::Trial>, std::less<>> members_
      ABSL_GUARDED_BY(mu_);  // By job.
};

}  // namespace lathe

#endif  // LATHE_SERVER_FRONTIER_TRACKER_H_
