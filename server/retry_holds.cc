#include "server/retry_holds.h"

#include <algorithm>

namespace lathe {

void RetryHolds::Add(const FailedAttempt& failed, absl::Time now) {
  Hold hold;
  hold.session = failed.session;
  hold.rests_until = now;
  if (failed.kind == v1::TRANSIENT) {
    const int doublings = std::clamp(failed.attempts - 1, 0, 20);
    hold.rests_until +=
        std::min(times_.first_rest * (1 << doublings), times_.most_rest);
  }
  hold.others_until = hold.rests_until + times_.others_first;
  absl::MutexLock lock(&mu_);
  holds_[failed.trial] = std::move(hold);
}

std::set<std::string> RetryHolds::HeldFrom(absl::string_view session,
                                           int active_workers,
                                           absl::Time now) const {
  std::set<std::string> held;
  absl::MutexLock lock(&mu_);
  for (const auto& [trial, hold] : holds_) {
    const bool is_for_others = active_workers > 1 && hold.session == session &&
                               now < hold.others_until;
    if (now < hold.rests_until || is_for_others) held.insert(trial);
  }
  return held;
}

bool RetryHolds::TakeEnded(absl::Time now) {
  bool has_ended = false;
  absl::MutexLock lock(&mu_);
  for (auto it = holds_.begin(); it != holds_.end();) {
    Hold& hold = it->second;
    if (now >= hold.rests_until && !hold.has_rested) {
      hold.has_rested = has_ended = true;
    }
    if (now >= hold.others_until) {
      has_ended = true;
      it = holds_.erase(it);
    } else {
      ++it;
    }
  }
  return has_ended;
}

}  // namespace lathe
