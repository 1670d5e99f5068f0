// A job's events, gathered by a thread of its own.
#ifndef LATHE_CLIENT_CLI_EVENT_FEED_H_
#define LATHE_CLIENT_CLI_EVENT_FEED_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/job_watcher.h"
#include "proto/search.pb.h"

namespace lathe {

// Thread-safe.
class EventFeed {
 public:
  EventFeed(const std::shared_ptr<grpc::Channel>& channel,
            const std::string& job_name);
  // Ends the thread.
  ~EventFeed();

  // The events that came since the last call, waiting for one up to `patience`.
  std::vector<v1::Event> Take(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether no more events will come, and all were taken.
  bool is_done() ABSL_LOCKS_EXCLUDED(mu_);
  // Once done: OutOfRange when the job has ended, else what went wrong.
  absl::Status end() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !events_.empty() || !end_.ok();
  }

  JobWatcher watcher_;
  absl::Mutex mu_;
  std::vector<v1::Event> events_ ABSL_GUARDED_BY(mu_);
  // OK while events come.
  absl::Status end_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_EVENT_FEED_H_
