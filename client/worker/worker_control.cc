#include "client/worker/worker_control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"

namespace lathe {
namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

}  // namespace

WorkerControl::WorkerControl() : end_fd_(eventfd(0, EFD_CLOEXEC)) {
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, &old_mask_);
  watcher_ = std::thread([this] { WatchSignals(); });
}

WorkerControl::~WorkerControl() {
  eventfd_write(end_fd_, 1);
  watcher_.join();
  close(end_fd_);
  pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
}

void WorkerControl::WatchSignals() {
  const sigset_t signals = WatchedSignals();
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
  for (;;) {
    pollfd waited[] = {{end_fd_, POLLIN, 0}, {signal_fd, POLLIN, 0}};
    poll(waited, 2, /*timeout=*/-1);
    if (waited[0].revents != 0) break;
    signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof(info)) != sizeof(info)) continue;
    const bool is_drain = info.ssi_signo == SIGUSR1;
    LATHE_LOG(kInfo) << (is_drain ? "draining" : "ending") << " by signal "
                     << info.ssi_signo;
    is_drain ? Drain() : Terminate();
  }
  close(signal_fd);
}

void WorkerControl::Drain() {
  absl::MutexLock lock(&mu_);
  is_draining_ = true;
  if (waiting_call_ != nullptr) waiting_call_->TryCancel();
}

void WorkerControl::Terminate() {
  absl::MutexLock lock(&mu_);
  is_draining_ = is_terminating_ = true;
  if (waiting_call_ != nullptr) waiting_call_->TryCancel();
  if (work_ != nullptr) work_->Stop(StopSignal::Reason::kShutdown);
}

bool WorkerControl::is_draining() const {
  absl::MutexLock lock(&mu_);
  return is_draining_;
}

bool WorkerControl::is_terminating() const {
  absl::MutexLock lock(&mu_);
  return is_terminating_;
}

bool WorkerControl::WaitUnlessDraining(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  return !mu_.AwaitWithTimeout(absl::Condition(&is_draining_), duration);
}

bool WorkerControl::WaitUnlessTerminating(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  return !mu_.AwaitWithTimeout(absl::Condition(&is_terminating_), duration);
}

void WorkerControl::SetWaitingCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mu_);
  waiting_call_ = call;
  if (call != nullptr && is_draining_) call->TryCancel();
}

void WorkerControl::SetWork(StopSignal* work) {
  absl::MutexLock lock(&mu_);
  work_ = work;
  if (work != nullptr && is_terminating_) {
    work->Stop(StopSignal::Reason::kShutdown);
  }
}

}  // namespace lathe
