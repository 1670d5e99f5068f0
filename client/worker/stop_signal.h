// Tells one piece of work to stop, from any thread.
#ifndef LATHE_CLIENT_WORKER_STOP_SIGNAL_H_
#define LATHE_CLIENT_WORKER_STOP_SIGNAL_H_

#include <atomic>

namespace lathe {

// Thread-safe.
class StopSignal {
 public:
  enum class Reason {
    kNone,
    // The server does not want the trial any more.
    kNotWanted,
    // The lease is not ours any more, as far as we know.
    kLost,
    // The worker ends.
    kShutdown,
    // The scheduler wants the place for something else.
    kPreempted,
    // The scheduler's time for the worker is nearly over.
    kTimeLimit
  };

  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // The first reason stays.
  void Stop(Reason reason);
  Reason reason() const { return reason_; }
  bool is_stopped() const { return reason_ != Reason::kNone; }

  // Readable for poll(2) once stopped.
  int fd() const { return fd_; }

 private:
  const int fd_;
  std::atomic<Reason> reason_{Reason::kNone};
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_STOP_SIGNAL_H_
