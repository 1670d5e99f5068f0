#include "agent/growing_frontier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "agent/frontier.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using Axes = std::vector<std::string>;

v1::Trial Trial(int64_t number, double accuracy, double latency_ratio,
                int64_t bytes) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  trial.mutable_measurement()->set_accuracy(accuracy);
  trial.mutable_measurement()->set_latency_ratio(latency_ratio);
  trial.mutable_measurement()->set_size_bytes(bytes);
  trial.mutable_measurement()->set_packed_bytes(bytes);
  trial.mutable_measurement()->set_entropy_bytes(bytes);
  return trial;
}

// Few different values, so that ties abound.
std::vector<v1::Trial> RandomTrials(int count, std::mt19937& generator) {
  std::uniform_int_distribution<int> value(1, 6);
  std::vector<v1::Trial> trials;
  for (int i = 0; i < count; ++i) {
    trials.push_back(Trial(i, value(generator) / 10.0, value(generator) / 10.0,
                           value(generator)));
    if (value(generator) == 1) trials.back().set_state(v1::TRIAL_INFEASIBLE);
  }
  return trials;
}

std::vector<int64_t> AllAtOnce(const std::vector<v1::Trial>& trials,
                               const Axes& axes) {
  std::vector<int64_t> numbers;
  for (const int i : ParetoFrontier(trials, axes)) {
    numbers.push_back(trials[i].number());
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

TEST(GrowingFrontier, IsTheFrontierOfAllTrialsInWhicheverOrderTheyCame) {
  for (const Axes& axes :
       {Axes{"latency"}, Axes{"size"}, Axes{"latency", "size"}, Axes{}}) {
    for (int seed = 0; seed < 50; ++seed) {
      std::mt19937 generator(seed);
      std::vector<v1::Trial> trials = RandomTrials(40, generator);
      const std::vector<int64_t> expected = AllAtOnce(trials, axes);
      std::shuffle(trials.begin(), trials.end(), generator);
      GrowingFrontier frontier(axes);
      for (const v1::Trial& trial : trials) frontier.Add(trial);
      EXPECT_EQ(frontier.Numbers(), expected)
          << "seed " << seed << ", " << axes.size() << " axes";
    }
  }
}

TEST(GrowingFrontier, TellsWhetherATrialIsAMember) {
  GrowingFrontier frontier(Axes{"latency"});
  EXPECT_TRUE(frontier.Add(Trial(1, 0.9, 0.5, 1)));
  EXPECT_FALSE(frontier.Add(Trial(2, 0.9, 0.6, 1)));
  EXPECT_TRUE(frontier.Add(Trial(1, 0.9, 0.5, 1)));
  EXPECT_TRUE(frontier.Add(Trial(3, 0.9, 0.4, 1)));
  EXPECT_THAT(frontier.Numbers(), ElementsAre(3));
}

TEST(GrowingFrontier, AnEqualOfAMemberWouldNotEnter) {
  GrowingFrontier frontier(Axes{"latency"});
  frontier.Add(Trial(1, 0.9, 0.5, 1));
  EXPECT_FALSE(frontier.WouldEnter(Trial(9, 0.9, 0.5, 1)));
  EXPECT_TRUE(frontier.WouldEnter(Trial(9, 0.9, 0.49, 1)));
  // It would take the member's place, as if it had ended before it.
  EXPECT_TRUE(frontier.WouldEnter(Trial(0, 0.9, 0.5, 1)));
  EXPECT_THAT(frontier.Numbers(), ElementsAre(1));
}

TEST(GrowingFrontier, WhatWasOnlyLookedAtNeverEnters) {
  GrowingFrontier frontier(Axes{"latency"});
  ASSERT_TRUE(frontier.Add(Trial(1, 0.5, 0.5, 1)));
  v1::Trial looked = Trial(2, 0.9, 0.1, 1);
  looked.mutable_measurement()->mutable_early_stop()->set_samples(64);
  EXPECT_FALSE(frontier.WouldEnter(looked));
  EXPECT_FALSE(frontier.Add(looked));
  EXPECT_THAT(frontier.Numbers(), ElementsAre(1));
}

}  // namespace
}  // namespace lathe
