// Keeps the calling thread on one core for a while.
#ifndef LATHE_EVALUATOR_CORE_PIN_H_
#define LATHE_EVALUATOR_CORE_PIN_H_

#include <sched.h>

#include <memory>
#include <optional>

#include "absl/status/statusor.h"

namespace lathe {

// Pinned from Pin until destruction, which restores the thread's former set of
// cores. Destroyed by the thread that made it.
class CorePin {
 public:
  ~CorePin();
  CorePin(const CorePin&) = delete;
  CorePin& operator=(const CorePin&) = delete;

  // Without a core nothing is pinned.
  //
  // Errors:
  //   Unavailable - the core does not exist or may not be used.
  static absl::StatusOr<std::unique_ptr<CorePin>> Pin(std::optional<int> core);

 private:
  explicit CorePin(std::optional<cpu_set_t> former) : former_(former) {}

  const std::optional<cpu_set_t> former_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_CORE_PIN_H_
