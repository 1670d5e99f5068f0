#include "agent/frontier.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::Trial MakeTrial(int64_t number, double accuracy, double latency_ratio,
                    int64_t size_bytes = 100) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_accuracy(accuracy);
  m.set_latency_ratio(latency_ratio);
  m.set_latency_us(1000 * latency_ratio);
  m.set_size_bytes(size_bytes);
  return trial;
}

v1::Measurement Baseline() {
  v1::Measurement baseline = MakeTrial(0, 0.8, 1, 1000).measurement();
  return baseline;
}

// The definition, word by word.
std::vector<int> SlowFrontier(const std::vector<v1::Trial>& trials,
                              bool has_latency, bool has_size) {
  const auto dominates = [&](const v1::Trial& a, const v1::Trial& b) {
    const v1::Measurement& x = a.measurement();
    const v1::Measurement& y = b.measurement();
    const bool is_as_good =
        x.accuracy() >= y.accuracy() &&
        (!has_latency || x.latency_ratio() <= y.latency_ratio()) &&
        (!has_size || x.size_bytes() <= y.size_bytes());
    const bool is_better =
        x.accuracy() > y.accuracy() ||
        (has_latency && x.latency_ratio() < y.latency_ratio()) ||
        (has_size && x.size_bytes() < y.size_bytes());
    return is_as_good && (is_better || a.number() < b.number());
  };
  std::vector<int> frontier;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].state() != v1::TRIAL_MEASURED) continue;
    bool is_dominated = false;
    for (size_t j = 0; j < trials.size(); ++j) {
      is_dominated |= j != i && trials[j].state() == v1::TRIAL_MEASURED &&
                      dominates(trials[j], trials[i]);
    }
    if (!is_dominated) frontier.push_back(static_cast<int>(i));
  }
  return frontier;
}

std::vector<v1::Trial> RandomTrials(uint64_t seed, int count) {
  Random random(seed);
  std::vector<v1::Trial> trials;
  for (int i = 0; i < count; ++i) {
    // Coarse values, so that ties are common.
    trials.push_back(MakeTrial(i, random.Below(6) / 6.0,
                               (1 + random.Below(6)) / 6.0,
                               1 + random.Below(6)));
    if (random.Below(5) == 0) trials.back().set_state(v1::TRIAL_INFEASIBLE);
  }
  return trials;
}

TEST(ParetoFrontier, EqualsTheDefinitionOnRandomTrials) {
  const std::vector<std::vector<std::string>> axes = {
      {"latency"}, {"size"}, {"latency", "size"}};
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const std::vector<v1::Trial> trials = RandomTrials(seed, 40);
    for (const std::vector<std::string>& objectives : axes) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      std::vector<int> fast = ParetoFrontier(trials, objectives);
      std::sort(fast.begin(), fast.end());
      const auto has = [&objectives](const char* name) {
        return std::count(objectives.begin(), objectives.end(), name) > 0;
      };
      EXPECT_EQ(fast, SlowFrontier(trials, has("latency"), has("size")));
    }
  }
}

TEST(ParetoFrontier, IsInTheOrderOfLatencyThenSize) {
  const std::vector<v1::Trial> trials = {MakeTrial(0, 0.9, 0.5, 30),
                                         MakeTrial(1, 0.8, 0.5, 20),
                                         MakeTrial(2, 0.7, 0.2, 90)};
  EXPECT_THAT(ParetoFrontier(trials, {"latency", "size"}),
              ElementsAre(2, 1, 0));
}

TEST(ParetoFrontier, OfEqualsTheLowestNumberStays) {
  const std::vector<v1::Trial> trials = {MakeTrial(7, 0.9, 0.5),
                                         MakeTrial(3, 0.9, 0.5)};
  EXPECT_THAT(ParetoFrontier(trials, {"latency"}), ElementsAre(1));
}

TEST(ParetoFrontier, OfNothingIsEmpty) {
  EXPECT_THAT(ParetoFrontier({}, {"latency"}), IsEmpty());
}

TEST(Hypervolume, OfOnePointIsItsRectangle) {
  // Accuracy ratio 0.72 / 0.8 = 0.9: (1 - 0.4) x (0.9 - 0.8) / 0.2.
  EXPECT_NEAR(Hypervolume({MakeTrial(1, 0.72, 0.4)}, Baseline()), 0.3, 1e-12);
}

TEST(Hypervolume, OfTwoPointsCountsTheirOverlapOnce) {
  // Ratios 0.9 at 0.4 and 1.0 at 0.7: (0.6 x 0.1 + 0.3 x 0.1) / 0.2.
  EXPECT_NEAR(Hypervolume({MakeTrial(1, 0.8, 0.7), MakeTrial(2, 0.72, 0.4)},
                          Baseline()),
              0.45, 1e-12);
}

TEST(Hypervolume, IgnoresWhatIsDominatedSlowOrBad) {
  const std::vector<v1::Trial> trials = {
      MakeTrial(1, 0.72, 0.4), MakeTrial(2, 0.70, 0.5), MakeTrial(3, 0.8, 1.2),
      MakeTrial(4, 0.6, 0.1)};
  EXPECT_NEAR(Hypervolume(trials, Baseline()), 0.3, 1e-12);
}

TEST(Hypervolume, TakesTheReportSplitWhereThereIsOne) {
  v1::Measurement baseline = Baseline();
  baseline.set_report_accuracy(0.5);
  baseline.set_report_samples(100);
  v1::Trial trial = MakeTrial(1, 0.1, 0.5);
  trial.mutable_measurement()->set_report_accuracy(0.5);
  trial.mutable_measurement()->set_report_samples(100);
  EXPECT_NEAR(Hypervolume({trial}, baseline), 0.5, 1e-12);
}

TEST(Hypervolume, IsMonotoneAndCanExceedNothingButTheBaselinesAccuracy) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<v1::Trial> trials = RandomTrials(seed, 20);
    double last = 0;
    for (size_t n = 1; n <= trials.size(); ++n) {
      const double area =
          Hypervolume(absl::MakeSpan(trials).subspan(0, n), Baseline());
      EXPECT_GE(area, last) << "seed " << seed;
      last = area;
    }
  }
}

TEST(BestWithin, IsTheMostAccurateWithinAllBounds) {
  const std::vector<v1::Trial> trials = {MakeTrial(1, 0.8, 0.9, 10),
                                         MakeTrial(2, 0.7, 0.4, 10),
                                         MakeTrial(3, 0.75, 0.5, 900)};
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.5);
  EXPECT_EQ(BestWithin(trials, Baseline(), bounds).trial().number(), 3);
  bounds.set_max_size_ratio(0.1);
  EXPECT_EQ(BestWithin(trials, Baseline(), bounds).trial().number(), 2);
}

// Correct on the first `correct` of 200 confirmation samples.
v1::Trial Confirmed(v1::Trial trial, int correct, const std::string& source) {
  constexpr int kSamples = 200;
  std::string bits(kSamples / 8, '\0');
  for (int i = 0; i < correct; ++i) {
    bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << i % 8);
  }
  trial.mutable_measurement()->set_confirmation_samples(kSamples);
  trial.mutable_measurement()->set_confirmation_correct(correct);
  trial.mutable_measurement()->set_confirmation_bits(bits);
  trial.mutable_proposal()->set_source(source);
  return trial;
}

TEST(BestWithin, OnlyWhatIsSurelyBetterReplacesTheSolversAnswer) {
  v1::Budget budget;
  budget.set_max_latency_ratio(0.5);
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.5);
  const v1::Trial solvers =
      Confirmed(MakeTrial(1, 0.70, 0.4), 150, "rl/solvers-answer");
  // More accurate on the search split, and by luck only.
  const v1::Trial lucky = Confirmed(MakeTrial(2, 0.75, 0.41), 151, "rl/child");
  v1::BestConfiguration best =
      BestWithin({solvers, lucky}, Baseline(), bounds, budget);
  EXPECT_EQ(best.trial().number(), 1);
  EXPECT_EQ(best.solvers_answer().number(), 1);
  EXPECT_EQ(best.challenger().number(), 2);
  EXPECT_NEAR(best.lead().mean(), 1 / 200.0, 1e-12);
  EXPECT_LT(best.lead().low(), 0);
  EXPECT_THAT(best.reason(), HasSubstr("not surely better"));

  const v1::Trial better = Confirmed(MakeTrial(3, 0.74, 0.4), 165, "rl/child");
  best = BestWithin({solvers, better}, Baseline(), bounds, budget);
  EXPECT_EQ(best.trial().number(), 3);
  EXPECT_GT(best.lead().low(), 0);
  EXPECT_THAT(best.reason(), HasSubstr("solver's answer, trial 1"));

  // The test is made once: it is the luckiest that has to pass it.
  best = BestWithin({solvers, lucky, better}, Baseline(), bounds, budget);
  EXPECT_EQ(best.trial().number(), 1);
}

TEST(BestWithin, WhatCostsLessAndIsNoWorseReplacesTheSolversAnswer) {
  v1::Budget budget;
  budget.set_max_latency_ratio(0.5);
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.5);
  const v1::Trial solvers =
      Confirmed(MakeTrial(1, 0.70, 0.4, 100), 150, "rl/solvers-answer");
  const v1::Trial cheaper =
      Confirmed(MakeTrial(2, 0.75, 0.3, 100), 150, "rl/child");
  const v1::BestConfiguration best =
      BestWithin({solvers, cheaper}, Baseline(), bounds, budget);
  EXPECT_EQ(best.trial().number(), 2);
  EXPECT_THAT(best.reason(), HasSubstr("neither slower, larger nor less"));

  const v1::Trial larger =
      Confirmed(MakeTrial(3, 0.75, 0.3, 101), 150, "rl/child");
  EXPECT_EQ(BestWithin({solvers, larger}, Baseline(), bounds, budget)
                .trial()
                .number(),
            1);
  const v1::Trial worse =
      Confirmed(MakeTrial(4, 0.75, 0.3, 100), 149, "rl/child");
  EXPECT_EQ(
      BestWithin({solvers, worse}, Baseline(), bounds, budget).trial().number(),
      1);
}

TEST(BestWithin, TheSolversAnswerIsForItsOwnBudgetAlone) {
  v1::Budget budget;
  budget.set_max_latency_ratio(0.5);
  const std::vector<v1::Trial> trials = {
      Confirmed(MakeTrial(1, 0.70, 0.4), 150, "rl/solvers-answer"),
      Confirmed(MakeTrial(2, 0.75, 0.4), 150, "rl/child")};
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.6);
  EXPECT_EQ(BestWithin(trials, Baseline(), bounds, budget).trial().number(), 2);
  // One that misses the budget, as measured, is no answer.
  budget.set_max_latency_ratio(0.3);
  bounds.set_max_latency_ratio(0.3);
  const v1::BestConfiguration best =
      BestWithin(trials, Baseline(), bounds, budget);
  EXPECT_FALSE(best.has_trial());
  EXPECT_FALSE(best.has_solvers_answer());
}

TEST(BestWithin, WhenConfidentTheWorseEndsOfTheIntervalsCount) {
  v1::Trial trial = MakeTrial(1, 0.8, 0.5, 10);
  trial.mutable_measurement()->set_latency_ratio_high(0.55);
  trial.mutable_measurement()->set_accuracy_low(0.75);
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.52);
  bounds.set_min_accuracy(0.74);
  EXPECT_TRUE(BestWithin({trial}, Baseline(), bounds).has_trial());
  bounds.set_is_confident(true);
  EXPECT_FALSE(BestWithin({trial}, Baseline(), bounds).has_trial());
  bounds.set_max_latency_ratio(0.55);
  EXPECT_TRUE(BestWithin({trial}, Baseline(), bounds).has_trial());
  bounds.set_min_accuracy(0.76);
  EXPECT_FALSE(BestWithin({trial}, Baseline(), bounds).has_trial());
}

TEST(BestWithin, BreaksTiesByLatency) {
  const std::vector<v1::Trial> trials = {MakeTrial(1, 0.7, 0.5),
                                         MakeTrial(2, 0.7, 0.4)};
  EXPECT_EQ(BestWithin(trials, Baseline(), {}).trial().number(), 2);
}

TEST(BestWithin, TakesANegativeAccuracyAsALossAgainstTheBaseline) {
  const std::vector<v1::Trial> trials = {MakeTrial(1, 0.795, 0.5)};
  v1::GetBestConfigurationRequest bounds;
  bounds.set_min_accuracy(-0.01);
  EXPECT_TRUE(BestWithin(trials, Baseline(), bounds).has_trial());
  bounds.set_min_accuracy(-0.001);
  EXPECT_FALSE(BestWithin(trials, Baseline(), bounds).has_trial());
}

TEST(BestWithin, NamesTheThreeNearestMissesAndWhy) {
  std::vector<v1::Trial> trials;
  for (int i = 1; i <= 5; ++i) {
    trials.push_back(MakeTrial(i, 0.7, 0.2 * i));
  }
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_us(100);
  const v1::BestConfiguration best = BestWithin(trials, Baseline(), bounds);
  EXPECT_FALSE(best.has_trial());
  ASSERT_EQ(best.near_misses_size(), 3);
  EXPECT_EQ(best.near_misses(0).trial().number(), 1);
  EXPECT_EQ(best.near_misses(2).trial().number(), 3);
  EXPECT_THAT(best.near_misses(0).why_not(),
              HasSubstr("latency_us 200 is 100.0 % above 100"));
}

TEST(Frontier, WhatWasOnlyLookedAtIsNoAnswer) {
  std::vector<v1::Trial> trials = {MakeTrial(1, 0.5, 0.5),
                                   MakeTrial(2, 0.9, 0.1)};
  const std::vector<std::string> objectives = {"latency"};
  const double both = Hypervolume(trials, Baseline());
  trials[1].mutable_measurement()->mutable_early_stop()->set_samples(64);
  EXPECT_THAT(ParetoFrontier(trials, objectives), ElementsAre(0));
  EXPECT_LT(Hypervolume(trials, Baseline()), both);
  v1::GetBestConfigurationRequest bounds;
  bounds.set_max_latency_ratio(0.6);
  EXPECT_EQ(BestWithin(trials, Baseline(), bounds).trial().number(), 1);
  bounds.set_max_latency_ratio(0.2);
  EXPECT_FALSE(BestWithin(trials, Baseline(), bounds).has_trial());
}

}  // namespace
}  // namespace lathe
