#include "data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int64_t> Labels(int64_t count, int classes) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(i * i % classes);
  return labels;
}

std::vector<size_t> Sizes(const Split& split) {
  return {split.calibration.size(), split.search.size(),
          split.confirmation.size(), split.report.size()};
}

TEST(SplitDataset, GivesTheDefaultShares) {
  const auto split = SplitDataset(1000, Labels(1000, 10), {});
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_THAT(Sizes(*split), ElementsAre(100, 400, 200, 300));
  const auto large = SplitDataset(60000, {}, {});
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_THAT(Sizes(*large), ElementsAre(512, 4000, 12000, 43488));
}

TEST(SplitDataset, IsDisjointAndAscending) {
  const auto split = SplitDataset(777, Labels(777, 7), {});
  ASSERT_TRUE(split.ok()) << split.status();
  std::set<int64_t> seen;
  for (const auto* part : {&split->calibration, &split->search,
                           &split->confirmation, &split->report}) {
    EXPECT_TRUE(std::is_sorted(part->begin(), part->end()));
    for (const int64_t sample : *part) {
      EXPECT_TRUE(seen.insert(sample).second) << sample;
      EXPECT_LT(sample, 777);
    }
  }
  EXPECT_EQ(seen.size(), 777u);
}

TEST(SplitDataset, IsStratified) {
  const std::vector<int64_t> labels = Labels(3000, 10);
  const auto split = SplitDataset(3000, labels, {});
  ASSERT_TRUE(split.ok()) << split.status();
  for (int64_t label = 0; label < 10; ++label) {
    const double share =
        std::count(labels.begin(), labels.end(), label) / 3000.0;
    for (const auto* part : {&split->calibration, &split->search,
                             &split->confirmation, &split->report}) {
      int64_t count = 0;
      for (const int64_t sample : *part) count += labels[sample] == label;
      // A stretch of the stratified order is off by one sample at each end.
      EXPECT_NEAR(count, share * part->size(), 2) << label;
    }
  }
}

TEST(SplitDataset, IsTheSameOnEveryMachine) {
  // Golden: a change here changes every report ever made.
  v1::DatasetSpec spec;
  spec.set_calibration_samples(2);
  spec.set_search_samples(3);
  spec.set_confirmation_samples(1);
  spec.set_report_samples(2);
  const auto split = SplitDataset(12, Labels(12, 3), spec);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_THAT(split->calibration, ElementsAre(3, 8));
  EXPECT_THAT(split->search, ElementsAre(0, 1, 7));
  EXPECT_THAT(split->confirmation, ElementsAre(11));
  EXPECT_THAT(split->report, ElementsAre(4, 6));
}

TEST(SplitDataset, CountsReplaceShares) {
  v1::DatasetSpec spec;
  spec.set_search_samples(100);
  const auto some = SplitDataset(1000, {}, spec);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_THAT(Sizes(*some), ElementsAre(100, 100, 200, 600));
  spec.set_report_samples(50);
  const auto more = SplitDataset(1000, {}, spec);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_THAT(Sizes(*more), ElementsAre(100, 100, 200, 50));
}

TEST(SplitDataset, LargeCountsShrinkTheOtherShares) {
  v1::DatasetSpec spec;
  spec.set_search_samples(900);
  const auto split = SplitDataset(1000, {}, spec);
  ASSERT_TRUE(split.ok()) << split.status();
  // 100 are left, shared 1 : 2 : 3.
  EXPECT_THAT(Sizes(*split), ElementsAre(16, 900, 33, 51));
}

TEST(SplitDataset, PartsWithABlobOfTheirOwnTakeNothing) {
  v1::DatasetSpec spec;
  spec.set_calibration_digest("c");
  spec.set_report_digest("r");
  const auto split = SplitDataset(100, {}, spec);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_THAT(Sizes(*split), ElementsAre(0, 40, 20, 0));
}

TEST(SplitDataset, AsksForCountsUnderFiftySamples) {
  const auto split = SplitDataset(49, {}, {});
  ASSERT_FALSE(split.ok());
  EXPECT_EQ(split.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(split.status().message()),
              HasSubstr("49 samples, fewer than 50"));
  EXPECT_TRUE(SplitDataset(50, {}, {}).ok());
}

TEST(SplitDataset, RefusesCountsThatDoNotFit) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  struct Case {
    int64_t calibration;
    int64_t report;
  };
  for (const Case& c : std::vector<Case>{
           {60, 41}, {101, 0}, {-1, 0}, {most, most}, {0, most}}) {
    v1::DatasetSpec spec;
    spec.set_calibration_samples(c.calibration);
    spec.set_report_samples(c.report);
    const auto split = SplitDataset(100, {}, spec);
    ASSERT_FALSE(split.ok()) << c.calibration;
    EXPECT_EQ(split.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace lathe
