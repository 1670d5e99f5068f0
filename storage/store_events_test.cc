// Behaviour of any Store: numbered events with counts.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "proto/names.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using StoreEvents = StoreTest;
using absl::StatusCode;

// "sequence what STATE counts".
std::string Text(const v1::Event& event) {
  const std::string what =
      event.has_job() ? absl::StrCat("job ", JobStateName(event.job().state()))
                      : absl::StrCat(event.trial().number(), " ",
                                     TrialStateName(event.trial().state()));
  return absl::StrCat(event.sequence(), " ", what, " | ",
                      CountsText(event.counts()));
}

std::vector<std::string> Texts(const std::vector<v1::Event>& events) {
  std::vector<std::string> texts;
  for (const v1::Event& event : events) texts.push_back(Text(event));
  return texts;
}

TEST_F(StoreEvents, TellEveryChangeWithTheCountsAfterIt) {
  const std::string job = MakeJob(1);
  ASSERT_TRUE(store_->SetJobState(job, v1::RUNNING, "", now_).ok());
  ASSERT_TRUE(store_->EndAttempts({Lease().fence}, "expired", now_).ok());
  MeasureNext(0.75);
  ASSERT_TRUE(store_->SetJobState(job, v1::DONE, "", now_).ok());
  const std::vector<v1::Event> events =
      store_->EventsAfter(job, 0, 100).value();
  EXPECT_EQ(Texts(events), (std::vector<std::string>{
                               "1 job PENDING | 0 0 0 0 0 0",
                               "2 0 PENDING | 1 0 0 0 0 0",
                               "3 job RUNNING | 1 0 0 0 0 0",
                               "4 0 LEASED | 0 1 0 0 0 0",
                               "5 0 PENDING | 1 0 0 0 0 0",
                               "6 0 LEASED | 0 1 0 0 0 0",
                               "7 0 MEASURED | 0 0 1 0 0 0",
                               "8 job DONE | 0 0 1 0 0 0",
                           }));
  EXPECT_EQ(events[4].trial().state_reason(), "expired");
  EXPECT_FALSE(events[5].trial().has_measurement());
  EXPECT_EQ(events[6].trial().measurement().accuracy(), 0.75);
  EXPECT_EQ(events[6].time().seconds(), 1000);
}

TEST_F(StoreEvents, ResumeExactlyAfterASequenceAndARestart) {
  const std::string job = MakeJob(3);
  MakeJob(2);
  Open();
  const auto after = store_->EventsAfter(job, 2, 1).value();
  EXPECT_EQ(Texts(after),
            (std::vector<std::string>{"3 1 PENDING | 2 0 0 0 0 0"}));
  EXPECT_TRUE(store_->EventsAfter(job, 4, 100).value().empty());
  EXPECT_EQ(store_->EventsAfter("jobs/9", 0, 1).status().code(),
            StatusCode::kNotFound);
}

TEST_F(StoreEvents, ARepeatedCallAddsNone) {
  const std::string job = MakeJob(1);
  const int64_t fence = Lease().fence;
  ASSERT_TRUE(store_->CompleteAttempt(Measured(fence), now_).ok());
  ASSERT_TRUE(store_->SetJobState(job, v1::DONE, "", now_).ok());
  const size_t before = store_->EventsAfter(job, 0, 100).value().size();
  ASSERT_TRUE(store_->CompleteAttempt(Measured(fence), now_).ok());
  ASSERT_TRUE(store_->SetJobState(job, v1::DONE, "", now_).ok());
  EXPECT_EQ(store_->EventsAfter(job, 0, 100).value().size(), before);
}

}  // namespace
}  // namespace lathe
