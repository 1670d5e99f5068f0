// The search loops of all jobs that have not ended.
#ifndef LATHE_SERVER_SEARCH_LOOPS_H_
#define LATHE_SERVER_SEARCH_LOOPS_H_

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

// Thread-safe.
class SearchLoops {
 public:
  explicit SearchLoops(const SearchLoopParts& parts) : parts_(parts) {}

  // Starts the loops of all stored jobs that have not ended.
  absl::Status StartAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Starts a job's loop unless it runs.
  void Start(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  void Wake(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  // Of a loop that does not run: nothing.
  SearchLoopStatus StatusOf(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  void WakeAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends all loops; none starts any more.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Loops = std::map<std::string, std::unique_ptr<SearchLoop>>;

  // Takes out the loops that have ended; the caller destroys them unlocked.
  std::vector<std::unique_ptr<SearchLoop>> TakeEnded()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const SearchLoopParts parts_;
  absl::Mutex mu_;
  bool is_stopped_ ABSL_GUARDED_BY(mu_) = false;
  Loops loops_ ABSL_GUARDED_BY(mu_);  // By job.
};

}  // namespace lathe

#endif  // LATHE_SERVER_SEARCH_LOOPS_H_
