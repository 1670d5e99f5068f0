// How many calls are under way.
#ifndef LATHE_SERVER_OPEN_CALLS_H_
#define LATHE_SERVER_OPEN_CALLS_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/steady.h"

namespace lathe {

// gRPC's own shutdown also waits for idle clients to close their connections,
// and some do so only when they call next; with this the server knows when it
// need not wait. Thread-safe.
class OpenCalls {
 public:
  void Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void End() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until no call is under way, or until `deadline` (SteadyNow's). By
  // one thread at a time.
  void AwaitNone(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool IsNone() ABSL_LOCKS_EXCLUDED(mu_);

  Wakeup none_;
  absl::Mutex mu_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
};

// A call from construction to destruction.
class OpenCall {
 public:
  // `calls` must outlive this.
  explicit OpenCall(OpenCalls* calls) : calls_(*calls) { calls_.Begin(); }
  ~OpenCall() { calls_.End(); }
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

 private:
  OpenCalls& calls_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_OPEN_CALLS_H_
