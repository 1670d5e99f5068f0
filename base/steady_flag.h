// Waiting, by a clock that never jumps, for something that happens once.
#ifndef LATHE_BASE_STEADY_FLAG_H_
#define LATHE_BASE_STEADY_FLAG_H_

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace lathe {

// Once set it stays set. Thread-safe. (absl::Mutex waits by the wall clock: set
// back by an hour it waits for an hour more. Hence the standard library's
// here.)
class SteadyFlag {
 public:
  void Set();
  bool is_set() const;
  // Waits until it is set, at most for `duration`. Whether it is.
  bool WaitFor(absl::Duration duration) const;

 private:
  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  bool is_set_ = false;  // Guarded by mu_.
};

}  // namespace lathe

#endif  // LATHE_BASE_STEADY_FLAG_H_
