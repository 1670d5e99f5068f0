// A job's events, in order and each once, across lost connections.
#ifndef LATHE_CLIENT_JOB_WATCHER_H_
#define LATHE_CLIENT_JOB_WATCHER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_flag.h"
#include "client/retry.h"
#include "proto/search.grpc.pb.h"

namespace lathe {

// Next is for one thread; Cancel may be called from any.
class JobWatcher {
 public:
  // Events with a sequence above `after_sequence` (0: all) of "jobs/{job}".
  JobWatcher(const std::shared_ptr<grpc::Channel>& channel,
             absl::string_view job, int64_t after_sequence,
             const RetryOptions& options = {});
  ~JobWatcher();
  JobWatcher(const JobWatcher&) = delete;
  JobWatcher& operator=(const JobWatcher&) = delete;

  // Waits for the next event, connecting anew where the last one ended when
  // the connection breaks or the server restarts.
  //
  // Errors:
  //   OutOfRange - the job has ended and this was its last event.
  //   Cancelled - Cancel was called.
  //   Unavailable - the server stayed away for options.give_up_after.
  //   others - the server's.
  absl::StatusOr<v1::Event> Next() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends a waiting Next and all later ones.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status Open() ABSL_LOCKS_EXCLUDED(mu_);
  // What the stream ended with; the stream is gone after.
  absl::Status Close() ABSL_LOCKS_EXCLUDED(mu_);

  const std::string job_;
  const RetryOptions options_;
  const std::unique_ptr<v1::Search::Stub> stub_;

  // Used by the thread that calls Next.
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader_;
  int64_t sequence_;

  absl::Mutex mu_;
  // Of the stream in `reader_`.
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mu_);
  SteadyFlag cancelled_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_JOB_WATCHER_H_
