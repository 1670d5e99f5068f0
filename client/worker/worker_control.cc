#include "client/worker/worker_control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/log.h"

namespace lathe {
namespace {

constexpr int kWatched[] = {SIGTERM, SIGINT, SIGUSR1};

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kWatched) sigaddset(&signals, signal);
  return signals;
}

std::optional<std::chrono::steady_clock::time_point> WorkEnd(
    const WorkerEnd& end) {
  if (!end.lifetime.has_value()) return std::nullopt;
  return std::chrono::steady_clock::now() +
         absl::ToChronoMilliseconds(*end.lifetime -
                                    WorkerControl::kTimeLimitMargin);
}

}  // namespace

WorkerControl::WorkerControl(const WorkerEnd& end)
    : is_scheduled_(end.is_scheduled),
      work_end_(WorkEnd(end)),
      end_fd_(eventfd(0, EFD_CLOEXEC)) {
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, &old_mask_);
  watcher_ = std::thread([this] { WatchSignals(); });
  routing_.emplace(std::vector<int>(std::begin(kWatched), std::end(kWatched)),
                   watcher_.native_handle());
}

WorkerControl::~WorkerControl() {
  routing_.reset();
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
    poll(waited, 2, PollTimeoutMs());
    if (waited[0].revents != 0) break;
    if (RemainingLifetime() == absl::ZeroDuration() && !is_terminating()) {
      LATHE_LOG(kInfo) << "ending: the scheduler's time limit is near";
      Terminate(StopSignal::Reason::kTimeLimit);
    }
    signalfd_siginfo info;
    if (waited[1].revents != 0 &&
        read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
      ObeySignal(static_cast<int>(info.ssi_signo));
    }
  }
  close(signal_fd);
}

void WorkerControl::ObeySignal(int signal) {
  LATHE_LOG(kInfo) << (signal == SIGUSR1 ? "draining" : "ending")
                   << " by signal " << signal;
  if (signal == SIGUSR1) {
    Drain();
  } else if (signal == SIGTERM && is_scheduled_) {
    Terminate(StopSignal::Reason::kPreempted);
  } else {
    Terminate(StopSignal::Reason::kShutdown);
  }
}

int WorkerControl::PollTimeoutMs() const {
  if (!work_end_.has_value() || is_terminating()) return -1;
  // Rounded up; a lifetime of many days is looked at every hour.
  const absl::Duration wait = std::min(*RemainingLifetime(), absl::Hours(1));
  return static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
}

std::optional<absl::Duration> WorkerControl::RemainingLifetime() const {
  if (!work_end_.has_value()) return std::nullopt;
  const auto left = *work_end_ - std::chrono::steady_clock::now();
  return std::max(absl::FromChrono(left), absl::ZeroDuration());
}

void WorkerControl::Drain() {
  draining_.Set();
  absl::MutexLock lock(&mu_);
  if (waiting_call_ != nullptr) waiting_call_->TryCancel();
}

void WorkerControl::Terminate(StopSignal::Reason reason) {
  absl::MutexLock lock(&mu_);
  if (reason_ == StopSignal::Reason::kNone) reason_ = reason;
  draining_.Set();
  terminating_.Set();
  if (waiting_call_ != nullptr) waiting_call_->TryCancel();
  if (work_ != nullptr) work_->Stop(reason_);
}

bool WorkerControl::WaitUnlessDraining(absl::Duration duration) const {
  return !draining_.WaitFor(duration);
}

bool WorkerControl::WaitUnlessTerminating(absl::Duration duration) const {
  return !terminating_.WaitFor(duration);
}

void WorkerControl::SetWaitingCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mu_);
  waiting_call_ = call;
  if (call != nullptr && is_draining()) call->TryCancel();
}

void WorkerControl::SetWork(StopSignal* work) {
  absl::MutexLock lock(&mu_);
  work_ = work;
  if (work != nullptr && is_terminating()) {
    work->Stop(reason_);
  }
}

}  // namespace lathe
