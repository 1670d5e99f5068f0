// Who is told when something durable changed.
#ifndef LATHE_SERVER_SIGNALS_H_
#define LATHE_SERVER_SIGNALS_H_

#include <functional>
#include <string>

namespace lathe {

// Set once before the server serves; all return at once and may be called from
// any thread, after the change is committed.
struct Signals {
  // Something about the job, or one of its trials, changed.
  std::function<void(const std::string& job)> job_changed;
  // Trials may have become PENDING.
  std::function<void()> trials_pending;
  // A worker came or went.
  std::function<void()> workers_changed;
};

}  // namespace lathe

#endif  // LATHE_SERVER_SIGNALS_H_
