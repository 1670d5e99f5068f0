#include "evaluator/latency.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <ctime>
#include <numeric>
#include <random>
#include <vector>

#include "base/status.h"

namespace lathe {
namespace {

// Resamples enough for the 2.5 % and 97.5 % quantiles to move by less than a
// tenth of the interval.
constexpr int kResamples = 200;
constexpr uint64_t kSeed = 20220623;

// Seconds that the calling thread has run.
double ThreadSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

LatencySummary Summarize(const std::vector<double>& seconds) {
  constexpr double kMicros = 1e6;
  LatencySummary summary;
  summary.median_us = kMicros * Median(seconds);
  summary.p05_us = kMicros * Quantile(seconds, 0.05);
  summary.p95_us = kMicros * Quantile(seconds, 0.95);
  summary.repeats = seconds.size();
  return summary;
}

// The upper median, in linear time; for ratios of equal sizes as good as the
// mean of the two middle values.
double FastMedian(std::vector<double>* values) {
  const auto middle = values->begin() + values->size() / 2;
  std::nth_element(values->begin(), middle, values->end());
  return *middle;
}

// When to look at the interval: after 30, 60, 120, ... calls.
int64_t NextCheck(int64_t repeats, const LatencyOptions& options) {
  return std::min(options.most_repeats, 2 * repeats);
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Makes `count` calls and appends the seconds of each, unless null.
absl::Status Repeat(const TimedCall& call, int64_t count,
                    std::vector<double>* seconds) {
  for (int64_t i = 0; i < count; ++i) {
    LATHE_ASSIGN_OR_RETURN(const double taken, call());
    if (seconds != nullptr) seconds->push_back(taken);
  }
  return absl::OkStatus();
}

LatencyComparison Compare(const std::vector<double>& candidate_s,
                          const std::vector<double>& baseline_s,
                          const LatencyOptions& options) {
  LatencyComparison comparison;
  comparison.candidate = Summarize(candidate_s);
  comparison.baseline = Summarize(baseline_s);
  comparison.ratio =
      comparison.candidate.median_us / comparison.baseline.median_us;
  comparison.ratio_interval = RatioInterval(candidate_s, baseline_s);
  comparison.is_noisy =
      comparison.ratio_interval.high - comparison.ratio_interval.low >
      options.interval_width * comparison.ratio;
  return comparison;
}

}  // namespace

TimedCall TimeRuns(Executor* executor, int threads) {
  return [executor, threads]() -> absl::StatusOr<double> {
    // Reading the thread's own clock takes far longer than reading the other
    // one, so it stands outside and counts only where it tells less: then the
    // thread had to wait for its core.
    const double thread_start = threads == 1 ? ThreadSeconds() : 0;
    const auto start = std::chrono::steady_clock::now();
    LATHE_RETURN_IF_ERROR(executor->Run());
    const auto end = std::chrono::steady_clock::now();
    const double wall = std::chrono::duration<double>(end - start).count();
    if (threads != 1) return wall;
    return std::min(wall, ThreadSeconds() - thread_start);
  };
}

Interval RatioInterval(absl::Span<const double> candidate,
                       absl::Span<const double> baseline) {
  assert(!candidate.empty() && candidate.size() == baseline.size());
  const size_t blocks = (candidate.size() + kBlockCalls - 1) / kBlockCalls;
  std::mt19937_64 random(kSeed);
  std::vector<double> ratios;
  std::vector<double> drawn_candidate;
  std::vector<double> drawn_baseline;
  for (int resample = 0; resample < kResamples; ++resample) {
    drawn_candidate.clear();
    drawn_baseline.clear();
    for (size_t i = 0; i < blocks; ++i) {
      const size_t first = random() % blocks * kBlockCalls;
      const auto from = candidate.subspan(first, kBlockCalls);
      const auto against = baseline.subspan(first, kBlockCalls);
      drawn_candidate.insert(drawn_candidate.end(), from.begin(), from.end());
      drawn_baseline.insert(drawn_baseline.end(), against.begin(),
                            against.end());
    }
    ratios.push_back(FastMedian(&drawn_candidate) /
                     FastMedian(&drawn_baseline));
  }
  return {Quantile(ratios, 0.025), Quantile(ratios, 0.975)};
}

absl::StatusOr<LatencyComparison> CompareLatency(
    const TimedCall& candidate, const TimedCall& baseline,
    const LatencyOptions& options) {
  LATHE_RETURN_IF_ERROR(Repeat(candidate, options.warm_up, nullptr));
  LATHE_RETURN_IF_ERROR(Repeat(baseline, options.warm_up, nullptr));
  std::vector<double> candidate_s;
  std::vector<double> baseline_s;
  int64_t check = std::max<int64_t>(1, options.least_repeats);
  while (true) {
    LATHE_RETURN_IF_ERROR(Repeat(candidate, options.block_warm_up, nullptr));
    LATHE_RETURN_IF_ERROR(Repeat(candidate, kBlockCalls, &candidate_s));
    LATHE_RETURN_IF_ERROR(Repeat(baseline, options.block_warm_up, nullptr));
    LATHE_RETURN_IF_ERROR(Repeat(baseline, kBlockCalls, &baseline_s));
    const int64_t repeats = candidate_s.size();
    // Slow models are told apart by few calls.
    const bool is_out_of_time =
        Sum(candidate_s) + Sum(baseline_s) >= options.most_seconds &&
        repeats >= 2 * kBlockCalls;
    if (repeats < check && !is_out_of_time) continue;
    const LatencyComparison comparison =
        Compare(candidate_s, baseline_s, options);
    if (!comparison.is_noisy || is_out_of_time ||
        repeats >= options.most_repeats) {
      return comparison;
    }
    check = NextCheck(repeats, options);
  }
}

}  // namespace lathe
