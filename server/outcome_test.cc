// What becomes of trials by what workers report, through the API.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using Outcomes = ServerTest;

TEST_F(Outcomes, ATrialThatKeepsCrashingIsQuarantinedAndTheJobGoesOn) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  for (int i = 0; i < 3; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_EQ(leases[0].trial_number(), 1);
    ASSERT_TRUE(worker.Fail(leases[0], v1::CRASH, "signal 11").ok());
  }
  EXPECT_EQ(GetTrial(job, 1).state(), v1::TRIAL_QUARANTINED);
  EXPECT_EQ(GetTrial(job, 1).state_reason(), "signal 11");
  const v1::Job done = RunToEnd(worker, job);
  EXPECT_EQ(done.state(), v1::DONE);
  EXPECT_EQ(done.counts().quarantined(), 1);
  EXPECT_EQ(done.counts().measured(), 3);
  // The agent waits for it no more, and learned nothing from it.
  EXPECT_GT(GetTrial(job, 1).learn_sequence(), 0);
  EXPECT_FALSE(GetTrial(job, 1).has_reward());
}

TEST_F(Outcomes, ABadModelFailsTheJobWithTheWorkersReason) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  for (int i = 0; i < 2; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_TRUE(
        worker.Fail(leases[0], v1::BAD_INPUT, "operator Foo is unknown").ok());
  }
  ASSERT_TRUE(
      Eventually([&] { return GetJob(job).state() == v1::JOB_FAILED; }));
  EXPECT_THAT(GetJob(job).state_reason(),
              ::testing::HasSubstr("operator Foo is unknown"));
}

TEST_F(Outcomes, AModelThatGoesBadLaterFailsTheJobAtTheFirstTrialToSaySo) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/40));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 2);
  for (int i = 0; i < 2; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_EQ(leases[0].trial_number(), 2);
    ASSERT_TRUE(
        worker.Fail(leases[0], v1::BAD_INPUT, "the blob is damaged").ok());
  }
  ASSERT_TRUE(
      Eventually([&] { return GetJob(job).state() == v1::JOB_FAILED; }));
  EXPECT_THAT(GetJob(job).state_reason(),
              ::testing::HasSubstr("trial 2: the blob is damaged"));
  EXPECT_EQ(GetJob(job).counts().failed(), 1);
}

TEST_F(Outcomes, ABadModelNeedsTheWordOfTwoWorkersWhenThereAreTwo) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker first = NewWorker("session-of-the-first");
  ScriptedWorker second = NewWorker("session-of-the-second");
  for (int i = 0; i < 2; ++i) {
    const std::vector<v1::Lease> leases = first.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_TRUE(first.Fail(leases[0], v1::BAD_INPUT, "bad").ok());
  }
  const std::vector<v1::Lease> leases = second.Lease();
  ASSERT_EQ(leases.size(), 1u);
  ASSERT_TRUE(second.Fail(leases[0], v1::BAD_INPUT, "bad").ok());
  EXPECT_TRUE(
      Eventually([&] { return GetJob(job).state() == v1::JOB_FAILED; }));
}

TEST_F(Outcomes, ANoisyMeasurementIsTakenAgainOnceAndThenAccepted) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  for (const v1::TrialState expected :
       {v1::TRIAL_PENDING, v1::TRIAL_MEASURED}) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    v1::Outcome outcome = SimulatedOutcome(leases[0]);
    outcome.set_kind(v1::NOISY);
    outcome.mutable_measurement()->set_is_noisy(true);
    ASSERT_TRUE(worker.Complete(leases[0].fence(), outcome).ok());
    EXPECT_EQ(GetTrial(job, 0).state(), expected);
  }
  EXPECT_EQ(RunToEnd(worker, job).state(), v1::DONE);
}

TEST_F(Outcomes, AnInfeasiblePlanIsLearnedAndNotTriedAgain) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/3));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  ASSERT_TRUE(worker.Fail(leases[0], v1::INFEASIBLE, "no kernel").ok());
  EXPECT_EQ(RunToEnd(worker, job).counts().infeasible(), 1);
  const v1::Trial trial = GetTrial(job, leases[0].trial_number());
  EXPECT_EQ(trial.state(), v1::TRIAL_INFEASIBLE);
  EXPECT_GT(trial.learn_sequence(), 0);
}

TEST_F(Outcomes, AMeasurementThatCannotBeTrueIsRejectedAndCountsAsAFailure) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/2));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  for (const double latency_us :
       {std::nan(""), std::numeric_limits<double>::infinity(), -1.0}) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    v1::Outcome outcome = SimulatedOutcome(leases[0]);
    outcome.mutable_measurement()->set_latency_us(latency_us);
    const CallError error =
        ErrorOf(worker.Complete(leases[0].fence(), outcome));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(error.reason, "OUTCOME_INVALID");
    EXPECT_THAT(error.message, ::testing::HasSubstr("latency_us"));
  }
  EXPECT_EQ(GetTrial(job, 1).state(), v1::TRIAL_QUARANTINED);
}

TEST_F(Outcomes, AnArtifactNeedsItsBlob) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  for (const std::string& missing : {std::string(64, 'a'), std::string("a")}) {
    EXPECT_EQ(ErrorOf(worker.CompleteWithArtifact(leases[0], missing)).reason,
              "BLOB_MISSING");
  }
  EXPECT_EQ(GetTrial(job, 0).state(), v1::TRIAL_LEASED);
  const std::string digest = Upload("a finished model");
  EXPECT_TRUE(worker.CompleteWithArtifact(leases[0], digest).ok());
  EXPECT_TRUE(worker.CompleteWithArtifact(leases[0], digest).ok());
  EXPECT_EQ(GetTrial(job, 0).artifact_digest(), digest);
}

TEST_F(Outcomes, ATrialWhoseWorkerDiesBeforeItsModelCameIsDoneAgain) {
  StartServer(/*ttl=*/absl::Milliseconds(500));
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker dead = NewWorker("session-of-the-dead-one");
  const std::vector<v1::Lease> lost = dead.Lease();
  ASSERT_EQ(lost.size(), 1u);
  v1::CompleteTrialResponse answer;
  ASSERT_TRUE(dead.Offer(lost[0], &answer).ok());
  ASSERT_TRUE(answer.upload_artifact());
  EXPECT_EQ(GetTrial(job, 0).state(), v1::TRIAL_LEASED);
  ScriptedWorker worker = NewWorker("session-of-the-other-one");
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  ASSERT_TRUE(worker.Offer(leases[0], &answer).ok());
  ASSERT_TRUE(answer.upload_artifact());
  const std::string digest = Upload("a finished model");
  ASSERT_TRUE(worker.CompleteWithArtifact(leases[0], digest).ok());
  EXPECT_EQ(GetTrial(job, 0).artifact_digest(), digest);
  EXPECT_EQ(ErrorOf(dead.CompleteWithArtifact(lost[0], digest)).reason,
            "LEASE_FENCED");
}

TEST_F(Outcomes, AWorkerWhoseFailuresPassElsewhereIsCordoned) {
  StartServer();
  CreateJob(Spec(/*trials=*/20));
  ScriptedWorker sick = NewWorker("session-of-the-sick-one");
  ScriptedWorker sound = NewWorker("session-of-the-sound-one");
  for (int i = 0; i < 3; ++i) {
    const std::vector<v1::Lease> failed = sick.Lease();
    ASSERT_EQ(failed.size(), 1u);
    ASSERT_TRUE(sick.Fail(failed[0], v1::CRASH, "bad memory").ok());
    const std::vector<v1::Lease> passed = sound.Lease();
    ASSERT_EQ(passed.size(), 1u);
    ASSERT_EQ(passed[0].trial(), failed[0].trial());
    ASSERT_TRUE(sound.Complete(passed[0]).ok());
  }
  EXPECT_TRUE(sick.Lease(1, absl::ZeroDuration()).empty());
  EXPECT_EQ(sound.Lease().size(), 1u);
}

}  // namespace
}  // namespace lathe::testing
