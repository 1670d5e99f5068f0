// The search loops of the jobs that have not ended.
#ifndef LATHE_SERVER_SEARCH_LOOPS_H_
#define LATHE_SERVER_SEARCH_LOOPS_H_

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/search_loop.h"

namespace lathe {

// Each has a thread, so that there are at most so many at once; the other jobs
// wait in the order in which they came, as they do when the system gives no
// thread. Thread-safe.
class SearchLoops {
 public:
  SearchLoops(const SearchLoopParts& parts, size_t most_loops)
      : parts_(parts), most_loops_(most_loops) {}

  // Starts the loops of all stored jobs that have not ended, the oldest first.
  absl::Status StartAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Starts a job's loop unless it runs, or lets it wait.
  void Start(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  // Starts what waits, as far as there is room. To be called every second.
  void StartWaiting() ABSL_LOCKS_EXCLUDED(mu_);
  void Wake(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  // Of a loop that waits: the error by which it does. Of one that has ended:
  // nothing.
  SearchLoopStatus StatusOf(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  void WakeAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends all loops; none starts any more.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Loops = std::map<std::string, std::unique_ptr<SearchLoop>>;

  // Takes out the loops that have ended; the caller destroys them unlocked.
  std::vector<std::unique_ptr<SearchLoop>> TakeEnded()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Errors: ResourceExhausted.
  absl::Status StartLoop(const std::string& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Waits(const std::string& job) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const SearchLoopParts parts_;
  const size_t most_loops_;
  absl::Mutex mu_;
  bool is_stopped_ ABSL_GUARDED_BY(mu_) = false;
  Loops loops_ ABSL_GUARDED_BY(mu_);  // By job.
  std::deque<std::string> waiting_ ABSL_GUARDED_BY(mu_);
  absl::Status why_waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lathe

#endif  // LATHE_SERVER_SEARCH_LOOPS_H_
