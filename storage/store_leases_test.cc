// Behaviour of any Store: leases, fences, completions.
#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using StoreLeases = StoreTest;
using absl::StatusCode;

std::vector<std::string> Names(const std::vector<GrantedLease>& leases) {
  std::vector<std::string> names;
  for (const GrantedLease& lease : leases) names.push_back(lease.trial.name());
  return names;
}

TEST_F(StoreLeases, GoToTheOldestJobAndItsLowestNumberFirst) {
  const std::string first = MakeJob(2), second = MakeJob(2);
  EXPECT_EQ(Names(store_->GrantLeases("s", TestProfile(), 3, now_).value()),
            (std::vector<std::string>{first + "/trials/0", first + "/trials/1",
                                      second + "/trials/0"}));
  EXPECT_EQ(store_->GrantLeases("s", TestProfile(), 3, now_).value().size(),
            1u);
  EXPECT_TRUE(store_->GrantLeases("s", TestProfile(), 3, now_).value().empty());
}

TEST_F(StoreLeases, ShowInTheTrialAndTheCounts) {
  const std::string job = MakeJob(2);
  const GrantedLease lease = Lease();
  EXPECT_EQ(lease.trial.state(), v1::TRIAL_LEASED);
  EXPECT_EQ(lease.trial.attempts(), 1);
  EXPECT_EQ(CountsText(store_->GetJob(job).value().counts()), "1 1 0 0 0 0");
}

TEST_F(StoreLeases, OnlyOfJobsThatRun) {
  const std::string job = MakeJob(1);
  const auto grants = [&] {
    return store_->GrantLeases("s", TestProfile(), 1, now_).value().size();
  };
  ASSERT_TRUE(store_->SetJobState(job, v1::PAUSED, "", now_).ok());
  EXPECT_EQ(grants(), 0u);
  ASSERT_TRUE(store_->SetJobState(job, v1::RUNNING, "", now_).ok());
  EXPECT_EQ(grants(), 1u);
  const std::string cancelled = MakeJob(1);
  ASSERT_TRUE(store_->SetJobState(cancelled, v1::CANCELLED, "", now_).ok());
  EXPECT_EQ(grants(), 0u);
}

TEST_F(StoreLeases, OnlyOnTheJobsProfileThreadsAside) {
  v1::JobSpec spec = TestSpec();
  *spec.mutable_target_profile() = TestProfile("target");
  MakeJob(1, spec);
  EXPECT_TRUE(
      store_->GrantLeases("s", TestProfile("other"), 1, now_).value().empty());
  v1::HardwareProfile target = TestProfile("target");
  target.set_threads(8);
  EXPECT_EQ(store_->GrantLeases("s", target, 1, now_).value().size(), 1u);
}

TEST_F(StoreLeases, TheMeasuredBaselineSetsTheProfile) {
  const std::string job = MakeJob(2);
  Completion completion = Measured(Lease().fence);
  completion.outcome.mutable_baseline()->set_activation_stats_digest("stats");
  ASSERT_TRUE(store_->CompleteAttempt(completion, now_).ok());
  const v1::Job read = store_->GetJob(job).value();
  EXPECT_EQ(read.baseline().activation_stats_digest(), "stats");
  EXPECT_EQ(read.profile().cpu(), TestProfile().cpu());
  EXPECT_TRUE(
      store_->GrantLeases("s", TestProfile("b"), 1, now_).value().empty());
  EXPECT_EQ(store_->GrantLeases("s", TestProfile(), 1, now_).value().size(),
            1u);
}

TEST_F(StoreLeases, FencesAreNeverUsedTwiceEvenAfterARestart) {
  const std::string job = MakeJob(1);
  const int64_t first = Lease().fence;
  ASSERT_TRUE(store_->EndAttempts({first}, "expired", now_).ok());
  ASSERT_TRUE(store_->SetJobState(job, v1::CANCELLED, "", now_).ok());
  ASSERT_TRUE(store_->DeleteJob(job).ok());
  Open();
  MakeJob(1);
  EXPECT_GT(Lease().fence, first);
}

TEST_F(StoreLeases, SurviveARestartUntilTheyEnd) {
  MakeJob(2);
  const GrantedLease kept = Lease("s1");
  const GrantedLease ended = Lease("s2");
  ASSERT_TRUE(store_->EndAttempts({ended.fence, 999}, "released", now_).ok());
  Open();
  const std::vector<ActiveAttempt> active = store_->ActiveAttempts().value();
  ASSERT_EQ(active.size(), 1u);
  EXPECT_EQ(active[0].fence, kept.fence);
  EXPECT_EQ(active[0].trial_name, kept.trial.name());
  EXPECT_EQ(active[0].session, "s1");
  EXPECT_EQ(store_->GetTrial(ended.trial.name()).value().state(),
            v1::TRIAL_PENDING);
  EXPECT_TRUE(store_->CompleteAttempt(Measured(kept.fence), now_).ok());
}

TEST_F(StoreLeases, ACompletionIsStoredOnceAndAnsweredAgain) {
  const std::string job = MakeJob(1);
  const int64_t fence = Lease().fence;
  const CompletionResult first =
      store_->CompleteAttempt(Measured(fence, 0.5), now_).value();
  EXPECT_TRUE(first.is_new);
  EXPECT_EQ(first.trial.state(), v1::TRIAL_MEASURED);
  EXPECT_EQ(first.trial.end_time().seconds(), 1000);
  Open();
  const CompletionResult again =
      store_->CompleteAttempt(Measured(fence, 0.9), now_).value();
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(again.trial.SerializeAsString(), first.trial.SerializeAsString());
  EXPECT_EQ(CountsText(store_->GetJob(job).value().counts()), "0 0 1 0 0 0");
}

TEST_F(StoreLeases, AStaleFenceIsRefusedAndChangesNothing) {
  MakeJob(1);
  const int64_t stale = Lease().fence;
  ASSERT_TRUE(store_->EndAttempts({stale}, "expired", now_).ok());
  const GrantedLease fresh = Lease();
  const absl::Status refused =
      store_->CompleteAttempt(Measured(stale, 0.1), now_).status();
  EXPECT_EQ(refused.code(), StatusCode::kAborted);
  EXPECT_NE(refused.message().find("expired"), std::string::npos);
  EXPECT_EQ(store_->GetTrial(fresh.trial.name()).value().state(),
            v1::TRIAL_LEASED);
  const v1::Trial won =
      store_->CompleteAttempt(Measured(fresh.fence, 0.9), now_).value().trial;
  EXPECT_EQ(won.measurement().accuracy(), 0.9);
  EXPECT_EQ(store_->CompleteAttempt(Measured(stale, 0.1), now_).status().code(),
            StatusCode::kAborted);
  EXPECT_EQ(store_->CompleteAttempt(Measured(12345), now_).status().code(),
            StatusCode::kAborted);
}

TEST_F(StoreLeases, AnotherSessionCannotCompleteThem) {
  MakeJob(1);
  Completion completion = Measured(Lease("s1").fence);
  completion.session = "s2";
  EXPECT_EQ(store_->CompleteAttempt(completion, now_).status().code(),
            StatusCode::kAborted);
  completion.session = "s1";
  EXPECT_TRUE(store_->CompleteAttempt(completion, now_).ok());
}

TEST(StoreQuotas, NoCreatorsTrialsRunBeyondTheMost) {
  StoreOptions options;
  options.folder = FreshFolder();
  options.most_running_trials = 3;
  const std::unique_ptr<Store> store = OpenStore(options).value();
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto make = [&](const std::string& creator, int trials) {
    const std::string job =
        store->CreateJobOf({creator, 0}, TestSpec(), "", now).value().name();
    const std::vector<v1::Proposal> proposals(trials, TestProposal(1));
    store->AddTrials(job, proposals, now).value();
    return job;
  };
  make("alice", 2);
  make("alice", 5);
  make("bob", 1);
  // Of one transaction, too: 2 + 1 of hers, and his.
  const auto granted = store
                           ->GrantToAll({{"s1", TestProfile(), 2, {}},
                                         {"s2", TestProfile(), 4, {}},
                                         {"s3", TestProfile(), 4, {}}},
                                        now)
                           .value();
  EXPECT_EQ(granted[0].size(), 2u);
  EXPECT_EQ(granted[1].size(), 2u);
  EXPECT_TRUE(granted[2].empty());
  EXPECT_EQ(granted[1][0].trial.name(), "jobs/2/trials/0");
  EXPECT_EQ(granted[1][1].trial.name(), "jobs/3/trials/0");
  EXPECT_EQ(store->UseByCreator().value().at("alice").running_trials, 3);
  ASSERT_TRUE(store->CompleteAttempt(Measured(granted[0][0].fence), now).ok());
  EXPECT_EQ(store->GrantLeases("s3", TestProfile(), 4, now).value().size(), 1u);
}

TEST_F(StoreLeases, AFailedAttemptCanBeTriedAgain) {
  MakeJob(1);
  const GrantedLease first = Lease("s1");
  ASSERT_TRUE(store_
                  ->CompleteAttempt(Ended(first.fence, v1::TRIAL_PENDING,
                                          v1::CRASH, "signal 11"),
                                    now_)
                  .ok());
  const GrantedLease second = Lease("s2");
  EXPECT_EQ(second.trial.attempts(), 2);
  const v1::Trial failed =
      store_
          ->CompleteAttempt(Ended(second.fence, v1::TRIAL_FAILED,
                                  v1::OUT_OF_MEMORY, "no memory"),
                            now_)
          .value()
          .trial;
  EXPECT_EQ(failed.state(), v1::TRIAL_FAILED);
  EXPECT_EQ(failed.state_reason(), "no memory");
  const std::vector<EndedAttempt> ended =
      store_->EndedAttempts(first.trial.name()).value();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].session, "s1");
  EXPECT_EQ(ended[0].kind, v1::CRASH);
  EXPECT_EQ(ended[0].reason, "signal 11");
  EXPECT_EQ(ended[1].kind, v1::OUT_OF_MEMORY);
}

TEST_F(StoreLeases, AnExpiredAttemptIsNoFailedOne) {
  MakeJob(1);
  const GrantedLease lease = Lease();
  ASSERT_TRUE(store_->EndAttempts({lease.fence}, "expired", now_).ok());
  EXPECT_TRUE(store_->EndedAttempts(lease.trial.name()).value().empty());
  EXPECT_EQ(store_->EndedAttempts("jobs/1/trials/9").status().code(),
            StatusCode::kNotFound);
}

TEST_F(StoreLeases, ACompletionThatContradictsItselfIsRefused) {
  MakeJob(1);
  const int64_t fence = Lease().fence;
  Completion no_kind = Measured(fence);
  no_kind.outcome.clear_kind();
  Completion no_measurement = Measured(fence);
  no_measurement.outcome.clear_measurement();
  Completion still_leased = Measured(fence);
  still_leased.state = v1::TRIAL_LEASED;
  for (const Completion& bad : {no_kind, no_measurement, still_leased}) {
    EXPECT_EQ(store_->CompleteAttempt(bad, now_).status().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(store_->CompleteAttempt(Measured(fence), now_).ok());
}

TEST_F(StoreLeases, TheModelIsStoredWithTheMeasurement) {
  MakeJob(1);
  const GrantedLease stale = Lease();
  ASSERT_TRUE(store_->EndAttempts({stale.fence}, "expired", now_).ok());
  Completion completion = Measured(stale.fence);
  completion.artifact_digest = "stale";
  EXPECT_FALSE(store_->CompleteAttempt(completion, now_).ok());
  const GrantedLease fresh = Lease();
  completion.fence = fresh.fence;
  completion.artifact_digest = "a";
  const auto done = store_->CompleteAttempt(completion, now_);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->trial.artifact_digest(), "a");
  // The first completion stands.
  completion.artifact_digest = "b";
  ASSERT_TRUE(store_->CompleteAttempt(completion, now_).ok());
  EXPECT_EQ(store_->GetTrial(fresh.trial.name()).value().artifact_digest(),
            "a");
  const std::vector<std::string> referenced = store_->ReferencedBlobs().value();
  EXPECT_EQ(std::count(referenced.begin(), referenced.end(), "a"), 1);
}

}  // namespace
}  // namespace lathe
