// How a worker is told to end: signals, and the server's wish to drain it.
#ifndef LATHE_CLIENT_WORKER_WORKER_CONTROL_H_
#define LATHE_CLIENT_WORKER_WORKER_CONTROL_H_

#include <grpcpp/client_context.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/signal_routing.h"
#include "base/steady_flag.h"
#include "client/worker/stop_signal.h"

namespace lathe {

// How a worker may end besides by its own server.
struct WorkerEnd {
  // A scheduler started the worker: SIGTERM means that it wants the place.
  bool is_scheduled = false;
  // Time until the scheduler ends the worker; none: not known.
  std::optional<absl::Duration> lifetime;
};

// While it lives, SIGTERM, SIGINT and a lifetime that is nearly over terminate,
// and SIGUSR1 drains. Draining: what runs is finished and nothing more is
// leased. Terminating: what runs is stopped too. Thread-safe. At most one at a
// time.
class WorkerControl {
 public:
  // So long before its lifetime's end a worker stops what runs, to give it
  // back in peace.
  static constexpr absl::Duration kTimeLimitMargin = absl::Seconds(10);

  // Blocks the signals in this thread and in threads started from now on.
  explicit WorkerControl(const WorkerEnd& end = {});
  ~WorkerControl();
  WorkerControl(const WorkerControl&) = delete;
  WorkerControl& operator=(const WorkerControl&) = delete;

  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  // What runs is stopped for `reason`.
  void Terminate(StopSignal::Reason reason) ABSL_LOCKS_EXCLUDED(mu_);
  // Until work must be over, at least 0; none: not limited.
  std::optional<absl::Duration> RemainingLifetime() const;
  // True when terminating, too.
  bool is_draining() const { return draining_.is_set(); }
  bool is_terminating() const { return terminating_.is_set(); }

  // Waits; returns early, and false, once draining.
  bool WaitUnlessDraining(absl::Duration duration) const;
  // Waits; returns early, and false, once terminating.
  bool WaitUnlessTerminating(absl::Duration duration) const;

  // The call that waits for work: cancelled by draining. Null for none.
  void SetWaitingCall(grpc::ClientContext* call) ABSL_LOCKS_EXCLUDED(mu_);
  // The work that runs: stopped by terminating. Null for none.
  void SetWork(StopSignal* work) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void WatchSignals();
  void ObeySignal(int signal);
  // Milliseconds for poll(2): until the lifetime is over; -1: for ever.
  int PollTimeoutMs() const;

  const bool is_scheduled_;
  // By the steady clock; unset: none.
  const std::optional<std::chrono::steady_clock::time_point> work_end_;
  const int end_fd_;
  sigset_t old_mask_;
  std::thread watcher_;
  std::optional<SignalRouting> routing_;
  SteadyFlag draining_;
  SteadyFlag terminating_;
  absl::Mutex mu_;
  // Why, once terminating.
  StopSignal::Reason reason_ ABSL_GUARDED_BY(mu_) = StopSignal::Reason::kNone;
  grpc::ClientContext* waiting_call_ ABSL_GUARDED_BY(mu_) = nullptr;
  StopSignal* work_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_WORKER_CONTROL_H_
