#include "server/watch_hub.h"

#include <utility>

namespace lathe {

void WatchHub::Add(const void* key, const std::string& job,
                   std::function<void()> wake) {
  absl::MutexLock lock(&mu_);
  watchers_[key] = {job, std::move(wake)};
}

void WatchHub::Remove(const void* key) {
  absl::MutexLock lock(&mu_);
  watchers_.erase(key);
}

void WatchHub::Notify(const std::string& job) {
  absl::MutexLock lock(&mu_);
  for (auto& [key, watcher] : watchers_) {
    if (watcher.job == job) watcher.wake();
  }
}

void WatchHub::Close() {
  is_closed_ = true;
  absl::MutexLock lock(&mu_);
  for (auto& [key, watcher] : watchers_) watcher.wake();
}

}  // namespace lathe
