#include "client/worker/stop_signal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>

namespace lathe {

StopSignal::StopSignal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(fd_ >= 0);
}

StopSignal::~StopSignal() { close(fd_); }

void StopSignal::Stop(Reason reason) {
  Reason none = Reason::kNone;
  if (reason_.compare_exchange_strong(none, reason)) eventfd_write(fd_, 1);
}

}  // namespace lathe
