// Behaviour of any Store: trials, reuse and learning.
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/plan.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using StoreTrials = StoreTest;
using absl::StatusCode;

std::vector<int64_t> Numbers(const std::vector<v1::Trial>& trials) {
  std::vector<int64_t> numbers;
  for (const v1::Trial& trial : trials) numbers.push_back(trial.number());
  return numbers;
}

TEST_F(StoreTrials, AreNumberedOnFromZero) {
  const std::string job = MakeJob(2);
  const std::vector<v1::Proposal> more = {TestProposal(7)};
  const v1::Trial added = store_->AddTrials(job, more, now_).value()[0];
  EXPECT_EQ(added.name(), job + "/trials/2");
  EXPECT_EQ(added.state(), v1::TRIAL_PENDING);
  EXPECT_EQ(added.plan_digest(), PlanDigest(TestProposal(7).plan()));
  EXPECT_EQ(Numbers(store_->AllTrials(job).value()),
            (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(store_->GetTrial(added.name()).value().SerializeAsString(),
            added.SerializeAsString());
  EXPECT_EQ(CountsText(store_->GetJob(job).value().counts()), "3 0 0 0 0 0");
}

TEST_F(StoreTrials, AnEndedJobTakesNoMore) {
  const std::string job = MakeJob(0);
  ASSERT_TRUE(store_->SetJobState(job, v1::DONE, "", now_).ok());
  const std::vector<v1::Proposal> more = {TestProposal(1)};
  EXPECT_EQ(store_->AddTrials(job, more, now_).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->AddTrials("jobs/9", more, now_).status().code(),
            StatusCode::kNotFound);
}

TEST_F(StoreTrials, APlanIsFoundAmongTheNumbersLookedAt) {
  const std::string job = MakeJob(3);
  const std::string digest =
      store_->GetTrial(job + "/trials/1").value().plan_digest();
  const PlanSearch found = store_->FindPlan(job, digest, 0).value();
  EXPECT_EQ(found.trial.value().number(), 1);
  EXPECT_EQ(found.next_number, 3);
  EXPECT_FALSE(store_->FindPlan(job, digest, 2).value().trial.has_value());
  EXPECT_FALSE(store_->FindPlan(job, "other", 0).value().trial.has_value());
  EXPECT_EQ(store_->FindPlan("jobs/9", digest, 0).status().code(),
            StatusCode::kNotFound);
}

TEST_F(StoreTrials, PageByNumber) {
  const std::string job = MakeJob(5);
  std::vector<int64_t> read;
  std::string token;
  do {
    const Page<v1::Trial> page = store_->ListTrials(job, 2, token).value();
    for (int64_t number : Numbers(page.rows)) read.push_back(number);
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_EQ(read, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST_F(StoreTrials, AMeasurementIsFoundOnlyForTheSameQuestion) {
  MakeJob(1);
  const v1::Trial source = MeasureNext();
  const auto find = [&](const v1::JobSpec& spec, const std::string& plan,
                        const v1::HardwareProfile& profile,
                        const std::string& version) {
    const auto found =
        store_->FindMeasured(spec, {plan, "unknown"}, profile, version).value();
    EXPECT_EQ(found.size(), 2u);
    EXPECT_FALSE(found[1].has_value());
    return found[0].has_value() ? found[0]->name() : "";
  };
  v1::JobSpec same = TestSpec();
  same.set_seed(99);
  same.set_agent("random");
  same.set_threads(1);
  EXPECT_EQ(find(same, source.plan_digest(), TestProfile(), "1"),
            source.name());
  v1::JobSpec other_batch = TestSpec();
  other_batch.set_batch(2);
  EXPECT_EQ(find(other_batch, source.plan_digest(), TestProfile(), "1"), "");
  v1::JobSpec other_data = TestSpec();
  other_data.mutable_dataset()->set_scale(2);
  EXPECT_EQ(find(other_data, source.plan_digest(), TestProfile(), "1"), "");
  v1::JobSpec other_settings = TestSpec();
  other_settings.mutable_compression()->set_repairs("none");
  EXPECT_EQ(find(other_settings, source.plan_digest(), TestProfile(), "1"), "");
  EXPECT_EQ(find(TestSpec("m"), source.plan_digest(), TestProfile(), "1"), "");
  EXPECT_EQ(find(TestSpec(), "plan", TestProfile(), "1"), "");
  EXPECT_EQ(find(TestSpec(), source.plan_digest(), TestProfile("b"), "1"), "");
  EXPECT_EQ(find(TestSpec(), source.plan_digest(), TestProfile(), "2"), "");
}

TEST_F(StoreTrials, ReuseEndsAPendingTrialWithTheSourcesMeasurement) {
  MakeJob(1);
  const GrantedLease lease = Lease();
  Completion completion = Measured(lease.fence, 0.75);
  completion.artifact_digest = "artifact";
  ASSERT_TRUE(store_->CompleteAttempt(completion, now_).ok());
  const v1::Trial source = store_->GetTrial(lease.trial.name()).value();
  const std::string job = MakeJob(2);
  const std::string name = job + "/trials/0";
  const v1::Trial reused = store_->ReuseMeasurement(name, source, now_).value();
  EXPECT_EQ(reused.state(), v1::TRIAL_MEASURED);
  EXPECT_EQ(reused.measurement().accuracy(), 0.75);
  EXPECT_EQ(reused.reused_from(), source.name());
  EXPECT_EQ(reused.artifact_digest(), "artifact");
  EXPECT_EQ(Numbers(store_->Unlearned(job).value()), (std::vector<int64_t>{0}));
  EXPECT_EQ(CountsText(store_->GetJob(job).value().counts()), "1 0 1 0 0 0");
  EXPECT_TRUE(store_->ReuseMeasurement(name, source, now_).ok());
  const GrantedLease second = Lease();
  EXPECT_EQ(store_->ReuseMeasurement(second.trial.name(), source, now_)
                .status()
                .code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(StoreTrials, AreLearnedInTheOrderInWhichTheyEnded) {
  const std::string job = MakeJob(4);
  const GrantedLease first = Lease(), second = Lease(), third = Lease();
  ASSERT_TRUE(store_->CompleteAttempt(Measured(third.fence), now_).ok());
  ASSERT_TRUE(store_
                  ->CompleteAttempt(Ended(first.fence, v1::TRIAL_INFEASIBLE,
                                          v1::INFEASIBLE, "no"),
                                    now_)
                  .ok());
  ASSERT_TRUE(store_
                  ->CompleteAttempt(Ended(second.fence, v1::TRIAL_QUARANTINED,
                                          v1::CRASH, "boom"),
                                    now_)
                  .ok());
  EXPECT_EQ(Numbers(store_->Unlearned(job).value()),
            (std::vector<int64_t>{2, 0, 1}));
}

Learned LearnedAs(const v1::Trial& trial, int64_t sequence, double reward) {
  Learned learned;
  learned.trial_name = trial.name();
  learned.learn_sequence = sequence;
  v1::Reward& value = learned.reward.emplace();
  value.set_value(reward);
  (*value.mutable_components())["quality"] = reward;
  return learned;
}

TEST_F(StoreTrials, LearningRecordsRewardsAndFrontierTogether) {
  const std::string job = MakeJob(3);
  const v1::Trial first = MeasureNext(), second = MeasureNext();
  ASSERT_TRUE(store_
                  ->RecordLearned(
                      job,
                      {LearnedAs(first, 1, 0.5), LearnedAs(second, 2, 0.25)},
                      {0, 1})
                  .ok());
  EXPECT_TRUE(store_->Unlearned(job).value().empty());
  const v1::Trial read = store_->GetTrial(second.name()).value();
  EXPECT_EQ(read.learn_sequence(), 2);
  EXPECT_EQ(read.reward().value(), 0.25);
  EXPECT_EQ(read.reward().components().at("quality"), 0.25);
  EXPECT_EQ(store_->FrontierNumbers(job).value(), (std::vector<int64_t>{0, 1}));
  ASSERT_TRUE(store_->RecordLearned(job, {}, {1}).ok());
  EXPECT_EQ(store_->FrontierNumbers(job).value(), (std::vector<int64_t>{1}));
}

TEST_F(StoreTrials, ATrialThatWasGivenUpIsLearnedWithoutAReward) {
  const std::string job = MakeJob(2);
  const v1::Trial measured = MeasureNext();
  const GrantedLease lease = Lease();
  ASSERT_TRUE(store_
                  ->CompleteAttempt(Ended(lease.fence, v1::TRIAL_QUARANTINED,
                                          v1::CRASH, "boom"),
                                    now_)
                  .ok());
  Learned dismissed;
  dismissed.trial_name = lease.trial.name();
  dismissed.learn_sequence = 2;
  ASSERT_TRUE(
      store_->RecordLearned(job, {LearnedAs(measured, 1, 1), dismissed}, {0})
          .ok());
  EXPECT_TRUE(store_->Unlearned(job).value().empty());
  const v1::Trial read = store_->GetTrial(lease.trial.name()).value();
  EXPECT_EQ(read.learn_sequence(), 2);
  EXPECT_FALSE(read.has_reward());
  const IntegrityReport report = store_->CheckIntegrity().value();
  for (const std::string& problem : report.problems) {
    EXPECT_EQ(problem.find("learned"), std::string::npos) << problem;
  }
}

TEST_F(StoreTrials, LearningThatCannotBeStoresNothing) {
  const std::string job = MakeJob(2);
  const v1::Trial ended = MeasureNext();
  const v1::Trial pending = store_->GetTrial(job + "/trials/1").value();
  EXPECT_EQ(
      store_
          ->RecordLearned(
              job, {LearnedAs(ended, 1, 1), LearnedAs(pending, 2, 1)}, {0})
          .code(),
      StatusCode::kFailedPrecondition);
  EXPECT_EQ(Numbers(store_->Unlearned(job).value()), (std::vector<int64_t>{0}));
  EXPECT_TRUE(store_->FrontierNumbers(job).value().empty());
  ASSERT_TRUE(store_->RecordLearned(job, {LearnedAs(ended, 1, 1)}, {0}).ok());
  EXPECT_EQ(store_->RecordLearned(job, {LearnedAs(ended, 2, 1)}, {0}).code(),
            StatusCode::kFailedPrecondition);
  const std::string other = MakeJob(0);
  EXPECT_EQ(store_->RecordLearned(other, {LearnedAs(ended, 1, 1)}, {}).code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace lathe
