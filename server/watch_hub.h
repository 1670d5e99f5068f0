// Wakes those who watch jobs.
#ifndef LATHE_SERVER_WATCH_HUB_H_
#define LATHE_SERVER_WATCH_HUB_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace lathe {

// Carries no events: a watcher that is woken reads what is new from the store,
// at its own speed, so that a slow one costs no memory. Thread-safe.
class WatchHub {
 public:
  // Calls `wake` after every change of the job until Remove. `wake` returns at
  // once and does not call the hub. `key` is the watcher's own address.
  void Add(const void* key, const std::string& job, std::function<void()> wake)
      ABSL_LOCKS_EXCLUDED(mu_);
  // After its return `wake` is not running and never called again.
  void Remove(const void* key) ABSL_LOCKS_EXCLUDED(mu_);

  void Notify(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);
  // Wakes everybody; all watchers are to end.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  bool is_closed() const { return is_closed_; }

 private:
  struct Watcher {
    std::string job;
    std::function<void()> wake;
  };

  std::atomic<bool> is_closed_{false};
  absl::Mutex mu_;
  std::map<const void*, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lathe

#endif  // LATHE_SERVER_WATCH_HUB_H_
