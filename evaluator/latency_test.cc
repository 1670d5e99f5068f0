#include "evaluator/latency.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace lathe {
namespace {

// Calls that take `base` seconds, up to `noise` of it more, and note their
// name.
TimedCall FakeCall(char name, double base, double noise, std::string* order) {
  auto random = std::make_shared<std::mt19937_64>(name);
  return [=]() -> absl::StatusOr<double> {
    order->push_back(name);
    return base * (1 + noise * ((*random)() % 1000) / 1000.0);
  };
}

// Its runs wait for another thread, which computes for `kBusySeconds`.
class WaitingExecutor : public Executor {
 public:
  static constexpr double kBusySeconds = 0.02;

  absl::Span<const Shape> input_shapes() const override { return {}; }
  absl::Span<const Shape> output_shapes() const override { return {}; }
  void* input(int index) override { return nullptr; }
  const void* output(int index) const override { return nullptr; }
  absl::Status Run() override {
    std::thread other([] {
      timespec now = {};
      do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
      } while (now.tv_sec + 1e-9 * now.tv_nsec < kBusySeconds);
    });
    other.join();
    return absl::OkStatus();
  }
  const std::vector<StepInfo>& steps() const override { return steps_; }
  absl::Status RunTimed(std::vector<double>* seconds) override { return Run(); }
  absl::Status RunWarm(std::vector<double>* seconds) override { return Run(); }
  int64_t peak_activation_bytes() const override { return 0; }

 private:
  const std::vector<StepInfo> steps_ = {};
};

TEST(TimeRuns, LeavesOutWhatOneThreadWaitedForItsCore) {
  WaitingExecutor executor;
  const auto alone = TimeRuns(&executor, /*threads=*/1)();
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_LT(*alone, WaitingExecutor::kBusySeconds / 2);
}

TEST(TimeRuns, CountsTheWorkOfFurtherThreads) {
  WaitingExecutor executor;
  const auto together = TimeRuns(&executor, /*threads=*/2)();
  ASSERT_TRUE(together.ok()) << together.status();
  EXPECT_GE(*together, WaitingExecutor::kBusySeconds);
}

TEST(CompareLatency, CallsInTurnInBlocksAfterTheWarmUp) {
  std::string order;
  LatencyOptions options;
  options.warm_up = 2;
  options.block_warm_up = 1;
  options.least_repeats = 7;
  const auto comparison = CompareLatency(
      FakeCall('a', 1e-4, 0, &order), FakeCall('b', 2e-4, 0, &order), options);
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ(order,
            "aabb"
            "aaaaaabbbbbb"
            "aaaaaabbbbbb");
  EXPECT_EQ(comparison->candidate.repeats, 10);
}

TEST(CompareLatency, TellsMediansRatioAndInterval) {
  std::string order;
  const auto comparison =
      CompareLatency(FakeCall('a', 1e-4, 0.02, &order),
                     FakeCall('b', 2e-4, 0.02, &order), LatencyOptions());
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_NEAR(comparison->candidate.median_us, 101, 1);
  EXPECT_NEAR(comparison->baseline.median_us, 202, 2);
  EXPECT_NEAR(comparison->ratio, 0.5, 0.005);
  EXPECT_LE(comparison->ratio_interval.low, comparison->ratio);
  EXPECT_GE(comparison->ratio_interval.high, comparison->ratio);
  EXPECT_LE(comparison->candidate.p05_us, comparison->candidate.median_us);
  EXPECT_GE(comparison->candidate.p95_us, comparison->candidate.median_us);
  EXPECT_FALSE(comparison->is_noisy);
}

TEST(CompareLatency, RepeatsWhileNoisyAndSaysSoInTheEnd) {
  std::string order;
  LatencyOptions options;
  options.most_repeats = 150;
  const auto comparison = CompareLatency(
      FakeCall('a', 1e-4, 9, &order), FakeCall('b', 1e-4, 9, &order), options);
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ(comparison->candidate.repeats, 150);
  EXPECT_TRUE(comparison->is_noisy);
}

TEST(CompareLatency, StopsSlowModelsAfterTheTimeAllowed) {
  std::string order;
  LatencyOptions options;
  options.most_seconds = 40;
  const auto comparison = CompareLatency(FakeCall('a', 1, 9, &order),
                                         FakeCall('b', 1, 9, &order), options);
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ(comparison->candidate.repeats, 10);
}

TEST(CompareLatency, ReturnsTheErrorOfACall) {
  std::string order;
  const TimedCall broken = []() -> absl::StatusOr<double> {
    return absl::InternalError("broken");
  };
  EXPECT_EQ(CompareLatency(FakeCall('a', 1, 0, &order), broken, {})
                .status()
                .message(),
            "broken");
}

TEST(RatioInterval, IsTheSameForTheSameTimes) {
  std::vector<double> candidate;
  std::vector<double> baseline;
  std::mt19937_64 random(3);
  for (int i = 0; i < 60; ++i) {
    candidate.push_back(1 + random() % 100 / 100.0);
    baseline.push_back(2 + random() % 100 / 100.0);
  }
  const Interval first = RatioInterval(candidate, baseline);
  const Interval second = RatioInterval(candidate, baseline);
  EXPECT_EQ(first.low, second.low);
  EXPECT_EQ(first.high, second.high);
  EXPECT_LT(first.low, first.high);
}

TEST(RatioInterval, CoversTheTrueRatioAboutAsOftenAsItSays) {
  // Both are uniform in [1, 2] times 1 and 1.25; the ratio of medians is 0.8.
  int covered = 0;
  constexpr int kRounds = 200;
  std::mt19937_64 random(11);
  const auto draw = [&random] { return 1 + random() % 1000 / 1000.0; };
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> candidate;
    std::vector<double> baseline;
    for (int i = 0; i < 100; ++i) {
      candidate.push_back(draw());
      baseline.push_back(1.25 * draw());
    }
    const Interval interval = RatioInterval(candidate, baseline);
    covered += interval.low <= 0.8 && 0.8 <= interval.high;
  }
  // 95 % of 200 is 190 with a deviation of 3; block bootstraps of medians
  // undercover by some points.
  EXPECT_GE(covered, 176) << "seed 11";
}

}  // namespace
}  // namespace lathe
