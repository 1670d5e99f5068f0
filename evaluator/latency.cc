#include "evaluator/latency.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <random>
#include <vector>

#include "base/status.h"

namespace lathe {
namespace {

// Five consecutive calls see the same clock frequency and the same neighbours;
// the smallest sample has six such blocks.
constexpr size_t kBlockPairs = 5;
// Resamples enough for the 2.5 % and 97.5 % quantiles to move by less than a
// tenth of the interval.
constexpr int kResamples = 200;
constexpr uint64_t kSeed = 20220623;

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

}  // namespace

TimedCall TimeRuns(Executor* executor) {
  return [executor]() -> absl::StatusOr<double> {
    const auto start = std::chrono::steady_clock::now();
    LATHE_RETURN_IF_ERROR(executor->Run());
    const auto end = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(end - start).count();
  };
}

Interval RatioInterval(absl::Span<const double> candidate,
                       absl::Span<const double> baseline) {
  assert(!candidate.empty() && candidate.size() == baseline.size());
  const size_t blocks = (candidate.size() + kBlockPairs - 1) / kBlockPairs;
  std::mt19937_64 random(kSeed);
  std::vector<double> ratios;
  std::vector<double> drawn_candidate;
  std::vector<double> drawn_baseline;
  for (int resample = 0; resample < kResamples; ++resample) {
    drawn_candidate.clear();
    drawn_baseline.clear();
    for (size_t i = 0; i < blocks; ++i) {
      const size_t first = random() % blocks * kBlockPairs;
      const auto from = candidate.subspan(first, kBlockPairs);
      const auto against = baseline.subspan(first, kBlockPairs);
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
  for (int64_t i = 0; i < options.warm_up; ++i) {
    LATHE_RETURN_IF_ERROR(candidate().status());
    LATHE_RETURN_IF_ERROR(baseline().status());
  }
  std::vector<double> candidate_s;
  std::vector<double> baseline_s;
  double total_s = 0;
  LatencyComparison comparison;
  int64_t check = std::max<int64_t>(1, options.least_repeats);
  while (true) {
    LATHE_ASSIGN_OR_RETURN(candidate_s.emplace_back(), candidate());
    LATHE_ASSIGN_OR_RETURN(baseline_s.emplace_back(), baseline());
    total_s += candidate_s.back() + baseline_s.back();
    const int64_t repeats = candidate_s.size();
    // Slow models are told apart by few calls.
    const bool is_out_of_time =
        total_s >= options.most_seconds && repeats >= 10;
    if (repeats < check && !is_out_of_time) continue;
    comparison.ratio_interval = RatioInterval(candidate_s, baseline_s);
    comparison.candidate = Summarize(candidate_s);
    comparison.baseline = Summarize(baseline_s);
    comparison.ratio =
        comparison.candidate.median_us / comparison.baseline.median_us;
    comparison.is_noisy =
        comparison.ratio_interval.high - comparison.ratio_interval.low >
        options.interval_width * comparison.ratio;
    if (!comparison.is_noisy || is_out_of_time ||
        repeats >= options.most_repeats) {
      return comparison;
    }
    check = NextCheck(repeats, options);
  }
}

}  // namespace lathe
