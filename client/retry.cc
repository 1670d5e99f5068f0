#include "client/retry.h"

#include <algorithm>
#include <chrono>
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

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(timeout));
}

Patience::Patience(absl::Duration duration)
    : start_(std::chrono::steady_clock::now()), duration_(duration) {}

bool Patience::IsOver(absl::Duration ahead) const {
  const auto passed = std::chrono::steady_clock::now() - start_;
  return absl::FromChrono(passed) + ahead >= duration_;
}

absl::Status CallWithRetry(
    const RetryOptions& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> call) {
  const Patience patience(options.give_up_after);
  Backoff backoff(options);
  while (true) {
    grpc::ClientContext context;
    SetTimeout(context, options.call_timeout);
    absl::Status status = FromGrpc(call(context));
    if (!absl::IsUnavailable(status)) return status;
    const absl::Duration wait = backoff.Next();
    if (patience.IsOver(wait)) return status;
    absl::SleepFor(wait);
  }
}

}  // namespace lathe
