// How a worker is told to end: signals, and the server's wish to drain it.
#ifndef LATHE_CLIENT_WORKER_WORKER_CONTROL_H_
#define LATHE_CLIENT_WORKER_WORKER_CONTROL_H_

#include <grpcpp/client_context.h>

#include <csignal>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/worker/stop_signal.h"

namespace lathe {

// While it lives, SIGTERM and SIGINT terminate and SIGUSR1 drains. Draining:
// what runs is finished and nothing more is leased. Terminating: what runs is
// stopped too. Thread-safe. At most one at a time.
class WorkerControl {
 public:
  // Blocks the signals in this thread and in threads started from now on.
  WorkerControl();
  ~WorkerControl();
  WorkerControl(const WorkerControl&) = delete;
  WorkerControl& operator=(const WorkerControl&) = delete;

  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  void Terminate() ABSL_LOCKS_EXCLUDED(mu_);
  // True when terminating, too.
  bool is_draining() const ABSL_LOCKS_EXCLUDED(mu_);
  bool is_terminating() const ABSL_LOCKS_EXCLUDED(mu_);

  // Waits; returns early, and false, once draining.
  bool WaitUnlessDraining(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits; returns early, and false, once terminating.
  bool WaitUnlessTerminating(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);

  // The call that waits for work: cancelled by draining. Null for none.
  void SetWaitingCall(grpc::ClientContext* call) ABSL_LOCKS_EXCLUDED(mu_);
  // The work that runs: stopped by terminating. Null for none.
  void SetWork(StopSignal* work) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void WatchSignals();

  const int end_fd_;
  sigset_t old_mask_;
  std::thread watcher_;
  mutable absl::Mutex mu_;
  bool is_draining_ ABSL_GUARDED_BY(mu_) = false;
  bool is_terminating_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* waiting_call_ ABSL_GUARDED_BY(mu_) = nullptr;
  StopSignal* work_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_WORKER_CONTROL_H_
