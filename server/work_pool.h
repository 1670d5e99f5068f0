// Threads for what must not run on gRPC's own.
#ifndef LATHE_SERVER_WORK_POOL_H_
#define LATHE_SERVER_WORK_POOL_H_

#include <functional>
#include <thread>
#include <vector>

#include "base/queue.h"
#include "server/open_calls.h"

namespace lathe {

// A fixed number of threads that run work in the order given. gRPC has as few
// as two threads for callbacks; calls that wait for the disk wait here, many
// at once, so that they share a commit. Thread-safe.
class WorkPool {
 public:
  explicit WorkPool(int threads);
  // Runs what is queued, then ends the threads.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // Waits while very much is queued.
  void Run(std::function<void()> work);

  // The calls that are served with this pool.
  OpenCalls& open_calls() { return open_calls_; }

 private:
  OpenCalls open_calls_;
  BlockingQueue<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_WORK_POOL_H_
