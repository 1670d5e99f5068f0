#include "base/steady_flag.h"

#include <algorithm>
#include <chrono>

namespace lathe {

void SteadyFlag::Set() {
  std::lock_guard<std::mutex> lock(mu_);
  is_set_ = true;
  changed_.notify_all();
}

bool SteadyFlag::is_set() const {
  std::lock_guard<std::mutex> lock(mu_);
  return is_set_;
}

bool SteadyFlag::WaitFor(absl::Duration duration) const {
  // Far below what the clock can count.
  const absl::Duration wait = std::min(duration, absl::Hours(24 * 365));
  std::unique_lock<std::mutex> lock(mu_);
  return changed_.wait_until(
      lock, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(wait),
      [this] { return is_set_; });
}

}  // namespace lathe
