#include "client/retry.h"

#include <algorithm>
#include <random>

#include "absl/time/clock.h"
#include "client/status.h"

namespace lathe {
namespace {

// Even in [0.5, 1.5), so that clients cut off together come back apart.
double Jitter() {
  thread_local std::mt19937 generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0.5, 1.5)(generator);
}

}  // namespace

absl::Duration Backoff::Next() {
  const absl::Duration wait = next_ * Jitter();
  next_ = std::min(next_ * 2, most_);
  return wait;
}

absl::Status CallWithRetry(
    const RetryOptions& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> call) {
  const absl::Time give_up = absl::Now() + options.give_up_after;
  Backoff backoff(options);
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(
        absl::ToChronoTime(absl::Now() + options.call_timeout));
    absl::Status status = FromGrpc(call(context));
    if (!absl::IsUnavailable(status)) return status;
    const absl::Duration wait = backoff.Next();
    if (absl::Now() + wait >= give_up) return status;
    absl::SleepFor(wait);
  }
}

}  // namespace lathe
