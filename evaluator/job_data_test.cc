#include "evaluator/job_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "evaluator/testing/small_job.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(OpenJobData, SplitsOneSet) {
  const auto data = OpenJobData(SmallNetwork(), {{"data", SmallDataset(100)}},
                                SmallSpec().dataset());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ((*data)->calibration.samples.size(), 10u);
  EXPECT_EQ((*data)->search.samples.size(), 40u);
  EXPECT_EQ((*data)->confirmation.samples.size(), 20u);
  EXPECT_EQ((*data)->report.samples.size(), 30u);
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ((*data)->search.labels[i], (*data)->search.samples[i] % 5);
  }
}

TEST(OpenJobData, TakesPartsFromBlobsOfTheirOwn) {
  v1::DatasetSpec spec = SmallSpec().dataset();
  spec.set_calibration_digest("c");
  spec.set_calibration_samples(7);
  spec.set_report_digest("r");
  Dataset unlabelled = SmallDataset(20);
  unlabelled.labels.clear();
  const auto data = OpenJobData(
      SmallNetwork(),
      {{"data", SmallDataset(60)}, {"c", unlabelled}, {"r", SmallDataset(33)}},
      spec);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ((*data)->calibration.samples.size(), 7u);
  EXPECT_EQ((*data)->calibration.inputs.dataset().SampleCount(), 20);
  EXPECT_EQ((*data)->search.samples.size(), 24u);
  EXPECT_EQ((*data)->report.samples.size(), 33u);
}

TEST(OpenJobData, WithoutAMainSetTheConfirmationSplitIsEmptyOrItsOwn) {
  v1::DatasetSpec spec;
  spec.set_calibration_digest("c");
  spec.set_search_digest("s");
  spec.set_report_digest("r");
  const std::map<std::string, Dataset> sets = {{"c", SmallDataset(10)},
                                               {"s", SmallDataset(20)},
                                               {"v", SmallDataset(12)},
                                               {"r", SmallDataset(30)}};
  const auto without = OpenJobData(SmallNetwork(), sets, spec);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_TRUE((*without)->confirmation.samples.empty());
  spec.set_confirmation_digest("v");
  const auto with = OpenJobData(SmallNetwork(), sets, spec);
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ((*with)->confirmation.samples.size(), 12u);
  EXPECT_EQ((*with)->confirmation.labels.size(), 12u);
}

TEST(OpenJobData, RefusesDataThatDoNotServe) {
  struct Case {
    std::string message;
    std::map<std::string, Dataset> datasets;
    v1::DatasetSpec spec;
  };
  const v1::DatasetSpec spec = SmallSpec().dataset();
  std::vector<Case> cases;
  cases.push_back({"was not given", {}, spec});
  cases.push_back({"fewer than 50", {{"data", SmallDataset(20)}}, spec});
  Dataset labels = SmallDataset(60);
  labels.labels[59] = 5;
  cases.push_back({"label 5 of sample 59", {{"data", labels}}, spec});
  Dataset shape = SmallDataset(60);
  shape.inputs["x"].shape = {60, 3, 4, 16};
  cases.push_back({"[3, 4, 16]", {{"data", shape}}, spec});
  cases.push_back({"--search", {{"data", SmallDataset(60)}}, spec});
  cases.back().spec.set_calibration_samples(60);
  cases.push_back({"--calibration", {{"data", SmallDataset(20)}}, spec});
  cases.back().spec.set_search_samples(20);
  Dataset unlabelled = SmallDataset(60);
  unlabelled.labels.clear();
  cases.push_back(
      {"has labels", {{"data", SmallDataset(60)}, {"r", unlabelled}}, spec});
  cases.back().spec.set_report_digest("r");
  for (const Case& c : cases) {
    const auto data = OpenJobData(SmallNetwork(), c.datasets, c.spec);
    ASSERT_FALSE(data.ok()) << c.message;
    EXPECT_EQ(data.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(data.status().message()), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace lathe
