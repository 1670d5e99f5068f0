#include "server/open_calls.h"

namespace lathe {

void OpenCalls::Begin() {
  absl::MutexLock lock(&mu_);
  ++count_;
}

void OpenCalls::End() {
  absl::MutexLock lock(&mu_);
  if (--count_ == 0) none_.Set();
}

bool OpenCalls::IsNone() {
  absl::MutexLock lock(&mu_);
  return count_ == 0;
}

void OpenCalls::AwaitNone(absl::Time deadline) {
  // It may have been set when there were none before.
  while (!IsNone() && SteadyNow() < deadline) none_.WaitUntil(deadline);
}

}  // namespace lathe
