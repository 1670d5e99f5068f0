// Calls with a deadline, repeated while the server is unavailable.
#ifndef LATHE_CLIENT_RETRY_H_
#define LATHE_CLIENT_RETRY_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <chrono>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lathe {

struct RetryOptions {
  // Deadline of each single attempt.
  absl::Duration call_timeout = absl::Seconds(30);
  // No attempt starts later than this after the first.
  absl::Duration give_up_after = absl::Seconds(60);
  // Wait before the second attempt; doubled each time, up to the most. Each
  // wait is drawn evenly from half to one and a half times that.
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration most_backoff = absl::Seconds(5);
};

// Makes `call` with a new context, again while it answers UNAVAILABLE, and
// returns its last answer. Any other answer ends it at once: `call` must be
// safe to repeat. Waits by sleeping.
absl::Status CallWithRetry(
    const RetryOptions& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> call);

// The call fails with DEADLINE_EXCEEDED after `timeout`. (absl::Now() lags
// behind a system clock that jumps, by which gRPC counts: calls would fail at
// once.)
void SetTimeout(grpc::ClientContext& context, absl::Duration timeout);

// A time that runs out, by a clock that never jumps. Immutable.
class Patience {
 public:
  explicit Patience(absl::Duration duration);
  // Whether it is over, or will be after `ahead`.
  bool IsOver(absl::Duration ahead = absl::ZeroDuration()) const;

 private:
  std::chrono::steady_clock::time_point start_;
  absl::Duration duration_;
};

// The waits of RetryOptions, for loops of other forms. Not thread-safe.
class Backoff {
 public:
  explicit Backoff(const RetryOptions& options)
      : most_(options.most_backoff),
        first_(options.first_backoff),
        next_(options.first_backoff) {}

  // The next wait, jitter included.
  absl::Duration Next();
  // Starts over with the first wait.
  void Reset() { next_ = first_; }

 private:
  const absl::Duration most_;
  const absl::Duration first_;
  absl::Duration next_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_RETRY_H_
