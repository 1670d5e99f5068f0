#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/cli/search_progress.h"
#include "client/cli/text_table.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1000);

v1::Job MakeJob(int64_t trials, int64_t done) {
  v1::Job job;
  job.mutable_spec()->set_trials(trials);
  job.mutable_counts()->set_measured(done);
  return job;
}

v1::Event Measured(int64_t number, int64_t done, double accuracy,
                   double latency_ratio) {
  v1::Event event;
  event.mutable_counts()->set_measured(done);
  v1::Trial& trial = *event.mutable_trial();
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  trial.mutable_measurement()->set_accuracy(accuracy);
  trial.mutable_measurement()->set_latency_ratio(latency_ratio);
  return event;
}

TEST(SearchProgress, TellsRateAndTimeLeftOfThisRunOnly) {
  SearchProgress progress(MakeJob(20, 5), kStart);
  progress.Add(Measured(6, 10, 0.9, 1));
  EXPECT_EQ(progress.done(), 10);
  // 5 fresh trials in 10 s: 10 more take 20 s.
  EXPECT_THAT(progress.Line(kStart + absl::Seconds(10)),
              HasSubstr("10/20  0.5/s  ETA 20 s"));
}

TEST(SearchProgress, EventsOfThePastDoNotTurnItBack) {
  SearchProgress progress(MakeJob(20, 5), kStart);
  progress.Add(Measured(0, 1, 0.9, 1));
  EXPECT_EQ(progress.done(), 5);
}

TEST(SearchProgress, BestIsTheMostAccurateAtHalfTheLatency) {
  SearchProgress progress(MakeJob(20, 0), kStart);
  progress.Add(Measured(0, 1, 0.9, 1));
  progress.Add(Measured(1, 2, 0.895, 0.7));
  EXPECT_THAT(progress.Line(kStart), HasSubstr("best 0.8950 at 0.700x"));
  progress.Add(Measured(2, 3, 0.8, 0.3));
  progress.Add(Measured(3, 4, 0.85, 0.5));
  EXPECT_THAT(progress.Line(kStart), HasSubstr("best 0.8500 at 0.500x"));
}

TEST(SearchProgress, TheBarFitsTheTerminal) {
  SearchProgress progress(MakeJob(4, 2), kStart);
  EXPECT_THAT(progress.Bar(kStart, 80), HasSubstr("[==========>         ]"));
  EXPECT_EQ(progress.Bar(kStart, 10).size(), 10u);
  EXPECT_EQ(progress.Bar(kStart, -5), "");
}

TEST(SearchProgress, EachTenthIsAnnouncedOnce) {
  SearchProgress progress(MakeJob(20, 0), kStart);
  EXPECT_FALSE(progress.ReachedNextTenth());
  progress.Add(Measured(0, 2, 0.9, 1));
  EXPECT_TRUE(progress.ReachedNextTenth());
  EXPECT_FALSE(progress.ReachedNextTenth());
  progress.Add(Measured(1, 20, 0.9, 1));
  EXPECT_TRUE(progress.ReachedNextTenth());
}

TEST(TextTable, AlignsAndKeepsControlCharactersOut) {
  TextTable table({"<NAME", "N"});
  table.AddRow({"a\x1b[2J", "100"});
  table.AddRow({"longer name", "7"});
  EXPECT_EQ(table.Render(),
            "NAME           N\n"
            "a?[2J        100\n"
            "longer name    7\n");
}

}  // namespace
}  // namespace lathe
