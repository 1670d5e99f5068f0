#include "server/steady.h"

#include <chrono>

namespace lathe {

absl::Time SteadyNow() {
  return absl::UnixEpoch() +
         absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

void Wakeup::Set() {
  std::lock_guard<std::mutex> lock(mu_);
  is_set_ = true;
  changed_.notify_one();
}

bool Wakeup::WaitUntil(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mu_);
  const auto is_set = [this] { return is_set_; };
  if (deadline == absl::InfiniteFuture()) {
    changed_.wait(lock, is_set);
  } else {
    const std::chrono::steady_clock::time_point until(
        absl::ToChronoNanoseconds(deadline - absl::UnixEpoch()));
    changed_.wait_until(lock, until, is_set);
  }
  const bool was_set = is_set_;
  is_set_ = false;
  return was_set;
}

}  // namespace lathe
