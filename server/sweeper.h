// Does something again and again.
#ifndef LATHE_SERVER_SWEEPER_H_
#define LATHE_SERVER_SWEEPER_H_

#include <atomic>
#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "server/steady.h"

namespace lathe {

// Calls `sweep` every `interval` on a thread of its own, by the steady clock,
// until destroyed.
class Sweeper {
 public:
  Sweeper(absl::Duration interval, std::function<void()> sweep);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

 private:
  std::atomic<bool> is_stopping_{false};
  Wakeup wakeup_;
  std::thread thread_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_SWEEPER_H_
