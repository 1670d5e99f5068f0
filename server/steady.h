// A clock that never jumps, and waiting by it.
#ifndef LATHE_SERVER_STEADY_H_
#define LATHE_SERVER_STEADY_H_

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace lathe {

// The machine's monotonic clock, counted from its own epoch: only differences
// and comparisons mean something. Leases and waits go by it, so that a changed
// wall clock ends or prolongs nothing.
absl::Time SteadyNow();

// Lets one thread sleep until another has news. Thread-safe. (absl::CondVar
// waits by the wall clock, hence the standard library's here.)
class Wakeup {
 public:
  void Set();
  // Waits until Set was called since the last return, or until `deadline`
  // (SteadyNow's). Whether Set was called.
  bool WaitUntil(absl::Time deadline);

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  bool is_set_ = false;  // Guarded by mu_.
};

}  // namespace lathe

#endif  // LATHE_SERVER_STEADY_H_
