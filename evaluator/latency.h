// Latency of two models measured in turn, and how sure their ratio is.
#ifndef LATHE_EVALUATOR_LATENCY_H_
#define LATHE_EVALUATOR_LATENCY_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/numeric.h"
#include "evaluator/executor.h"

namespace lathe {

struct LatencyOptions {
  // Untimed calls of each before the first timed one.
  int64_t warm_up = 5;
  // Untimed calls before the timed ones of each block: what the other model
  // left in the caches is not this one's latency.
  int64_t block_warm_up = 2;
  // Timed calls of each, in whole blocks: at least `least_repeats`, and on
  // until the interval of the ratio is narrower than `interval_width` times the
  // ratio, or `most_repeats`, or until all calls together took `most_seconds`.
  int64_t least_repeats = 30;
  int64_t most_repeats = 400;
  double interval_width = 0.03;
  double most_seconds = 5;
};

// Quantiles of the timed calls, microseconds.
struct LatencySummary {
  double median_us = 0;
  double p05_us = 0;
  double p95_us = 0;
  int64_t repeats = 0;
};

struct LatencyComparison {
  LatencySummary candidate;
  LatencySummary baseline;
  // Ratio of the medians, candidate / baseline, with its 95 % interval.
  double ratio = 1;
  Interval ratio_interval = {1, 1};
  bool is_noisy = false;
};

// One call; the seconds it took.
using TimedCall = std::function<absl::StatusOr<double>()>;

// Calls of executor->Run(), which has `threads` threads. One thread: the time
// that it ran, without what other programs took of its core meanwhile; else by
// the monotonic clock. `executor` must outlive it.
TimedCall TimeRuns(Executor* executor, int threads);

// Timed calls that one model makes before it is the other's turn.
constexpr int64_t kBlockCalls = 5;

// Calls candidate and baseline in turn, kBlockCalls timed calls each (A B A B),
// so that whatever slows the machine for a while slows both.
//
// Errors: the first that a call returns.
absl::StatusOr<LatencyComparison> CompareLatency(const TimedCall& candidate,
                                                 const TimedCall& baseline,
                                                 const LatencyOptions& options);

// The 95 % bootstrap interval of median(candidate) / median(baseline): blocks
// of kBlockCalls calls, paired as they were made, are drawn with replacement,
// since neighbouring calls are alike. The seed is fixed: equal times give an
// equal interval. REQUIRES: both have the same, positive, size.
Interval RatioInterval(absl::Span<const double> candidate,
                       absl::Span<const double> baseline);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LATENCY_H_
