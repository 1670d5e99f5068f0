// Leases through the API: fences, renewals, failures, waiting.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using Leases = ServerTest;
using v1::RenewLeasesResponse;

TEST_F(Leases, AnExpiredLeaseIsFencedAndItsTrialRunsElsewhere) {
  StartServer(/*ttl=*/absl::Milliseconds(100));
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker slow = NewWorker("session-of-the-slow-one");
  ScriptedWorker quick = NewWorker("session-of-the-quick-one");
  const std::vector<v1::Lease> lost = slow.Lease();
  ASSERT_EQ(lost.size(), 1u);
  const std::vector<v1::Lease> taken_over = quick.Lease();
  ASSERT_EQ(taken_over.size(), 1u);
  EXPECT_EQ(taken_over[0].trial(), lost[0].trial());
  EXPECT_GT(taken_over[0].fence(), lost[0].fence());
  const CallError error = ErrorOf(slow.Complete(lost[0]));
  EXPECT_EQ(error.code, grpc::StatusCode::ABORTED);
  EXPECT_EQ(error.reason, "LEASE_FENCED");
  EXPECT_EQ(slow.Renew({lost[0].fence()}).verdicts(0),
            RenewLeasesResponse::LOST);
  EXPECT_TRUE(quick.Complete(taken_over[0]).ok());
  EXPECT_EQ(GetTrial(job, 0).attempts(), 2);
}

TEST_F(Leases, RenewalKeepsALeasePastItsFirstEnd) {
  StartServer(/*ttl=*/absl::Milliseconds(300));
  CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  const absl::Time until = absl::Now() + absl::Milliseconds(900);
  const bool went_on = Eventually([&] {
    EXPECT_EQ(worker.Renew({leases[0].fence()}).verdicts(0),
              RenewLeasesResponse::GO_ON);
    return absl::Now() > until;
  });
  EXPECT_TRUE(went_on);
  EXPECT_TRUE(worker.Complete(leases[0]).ok());
}

TEST_F(Leases, AnotherSessionCannotRenewCompleteOrReleaseALease) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker owner = NewWorker("session-of-the-owner");
  ScriptedWorker other = NewWorker("session-of-the-other");
  const std::vector<v1::Lease> leases = owner.Lease();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(other.Renew({leases[0].fence()}).verdicts(0),
            RenewLeasesResponse::LOST);
  EXPECT_TRUE(other.Release({leases[0].fence()}).ok());
  EXPECT_EQ(GetTrial(job, 0).state(), v1::TRIAL_LEASED);
  EXPECT_EQ(ErrorOf(other.Complete(leases[0])).reason, "LEASE_FENCED");
  EXPECT_TRUE(owner.Complete(leases[0]).ok());
}

TEST_F(Leases, CompletionRepeatedGivesTheSameAnswerAndOneResult) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::CompleteTrialResponse first;
  ASSERT_TRUE(worker.Complete(leases[0], &first).ok());
  EXPECT_TRUE(first.upload_artifact());
  v1::Outcome other = SimulatedOutcome(leases[0]);
  other.mutable_measurement()->set_accuracy(0.1);
  v1::CompleteTrialResponse again;
  ASSERT_TRUE(worker.Complete(leases[0].fence(), other, &again).ok());
  EXPECT_TRUE(again.upload_artifact());
  EXPECT_EQ(GetTrial(job, 0).measurement().accuracy(), 0.9);
}

TEST_F(Leases, CancellingStopsWhatRuns) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/10));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::GetJobRequest request;
  request.set_name(job);
  v1::Job cancelled;
  ASSERT_TRUE(
      search_->CancelJob(NewContext().get(), request, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), v1::CANCELLED);
  EXPECT_EQ(worker.Renew({leases[0].fence()}).verdicts(0),
            RenewLeasesResponse::STOP);
  EXPECT_EQ(ErrorOf(worker.Complete(leases[0])).reason, "LEASE_FENCED");
  EXPECT_TRUE(worker.Lease(1, absl::ZeroDuration()).empty());
  ASSERT_TRUE(
      search_->CancelJob(NewContext().get(), request, &cancelled).ok());
  EXPECT_EQ(ErrorOf(search_->PauseJob(NewContext().get(), request, &cancelled))
                .reason,
            "JOB_ENDED");
}

TEST_F(Leases, APausedJobLeasesNothingAndGoesOnWhenResumed) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/6));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  const std::vector<v1::Lease> running = worker.Lease();
  ASSERT_EQ(running.size(), 1u);
  v1::GetJobRequest request;
  request.set_name(job);
  v1::Job paused;
  ASSERT_TRUE(search_->PauseJob(NewContext().get(), request, &paused).ok());
  EXPECT_EQ(paused.state(), v1::PAUSED);
  EXPECT_TRUE(worker.Lease(1, absl::ZeroDuration()).empty());
  EXPECT_TRUE(worker.Complete(running[0]).ok());
  // A parked worker gets work as soon as the job is resumed.
  std::vector<v1::Lease> leases;
  std::thread parked([&] { leases = worker.Lease(); });
  ASSERT_TRUE(search_->ResumeJob(NewContext().get(), request, &paused).ok());
  parked.join();
  ASSERT_EQ(leases.size(), 1u);
  ASSERT_TRUE(worker.Complete(leases[0]).ok());
  EXPECT_EQ(RunToEnd(worker, job).counts().measured(), 6);
}

TEST_F(Leases, AParkedWorkerIsWokenByANewJob) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  std::vector<v1::Lease> leases;
  std::thread parked([&] { leases = worker.Lease(); });
  CreateJob(Spec(/*trials=*/1));
  parked.join();
  EXPECT_EQ(leases.size(), 1u);
}

TEST_F(Leases, OneTrialGoesToOneOfManyParkedWorkers) {
  StartServer();
  constexpr int kWorkers = 8;
  std::vector<int> granted(kWorkers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kWorkers; ++i) {
    threads.emplace_back([&, i] {
      ScriptedWorker worker =
          NewWorker("session-of-worker-" + std::to_string(i));
      granted[i] =
          static_cast<int>(worker.Lease(1, absl::Seconds(1)).size());
    });
  }
  CreateJob(Spec(/*trials=*/1));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(granted.begin(), granted.end(), 1), 1);
}

TEST_F(Leases, AWorkerThatLeftWhileParkedGetsNoLease) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  const auto stub = v1::Workers::NewStub(channel_);
  v1::LeaseTrialsRequest request;
  request.set_session(worker.session());
  request.set_slots(1);
  request.set_wait_seconds(20);
  v1::LeaseTrialsResponse response;
  grpc::ClientContext context;
  std::thread parked([&] {
    EXPECT_EQ(stub->LeaseTrials(&context, request, &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  context.TryCancel();
  parked.join();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_TRUE(worker.Complete(leases[0]).ok());
}

TEST_F(Leases, ReleasedTrialsRunAgainWithoutBlame) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  for (int i = 0; i < 5; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_TRUE(worker.Release({leases[0].fence()}).ok());
    ASSERT_TRUE(worker.Release({leases[0].fence()}).ok());
  }
  EXPECT_EQ(RunToEnd(worker, job).state(), v1::DONE);
  EXPECT_EQ(GetTrial(job, 0).attempts(), 6);
}

TEST_F(Leases, ATrialThatKeepsCrashingIsQuarantinedAndTheJobGoesOn) {
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
  EXPECT_EQ(GetTrial(job, 1).learn_sequence(), 0);
}

TEST_F(Leases, ABadModelFailsTheJobWithTheWorkersReason) {
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

TEST_F(Leases, ABadModelNeedsTheWordOfTwoWorkersWhenThereAreTwo) {
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

TEST_F(Leases, ANoisyMeasurementIsTakenAgainOnceAndThenAccepted) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::string digest = Upload("a finished model");
  for (const v1::TrialState expected :
       {v1::TRIAL_PENDING, v1::TRIAL_MEASURED}) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    v1::Outcome outcome = SimulatedOutcome(leases[0]);
    outcome.set_kind(v1::NOISY);
    outcome.mutable_measurement()->set_is_noisy(true);
    ASSERT_TRUE(worker.Complete(leases[0].fence(), outcome).ok());
    EXPECT_EQ(GetTrial(job, 0).state(), expected);
    if (expected == v1::TRIAL_PENDING) continue;
    EXPECT_TRUE(worker.Attach(leases[0].fence(), digest).ok());
  }
  EXPECT_EQ(RunToEnd(worker, job).state(), v1::DONE);
}

TEST_F(Leases, AnInfeasiblePlanIsLearnedAndNotTriedAgain) {
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

TEST_F(Leases, AMeasurementThatCannotBeTrueIsRejectedAndCountsAsAFailure) {
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

TEST_F(Leases, AnArtifactNeedsItsBlobAndTheFenceThatMeasured) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  const std::string digest = Upload("a finished model");
  EXPECT_EQ(ErrorOf(worker.Attach(leases[0].fence(), digest)).reason,
            "LEASE_FENCED");
  ASSERT_TRUE(worker.Complete(leases[0]).ok());
  EXPECT_EQ(ErrorOf(worker.Attach(leases[0].fence(), std::string(64, 'a')))
                .reason,
            "BLOB_MISSING");
  EXPECT_TRUE(worker.Attach(leases[0].fence(), digest).ok());
  EXPECT_TRUE(worker.Attach(leases[0].fence(), digest).ok());
  EXPECT_EQ(GetTrial(job, 0).artifact_digest(), digest);
}

TEST_F(Leases, ADrainingWorkerFinishesWhatItRunsAndGetsNothingMore) {
  StartServer();
  CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::DrainWorkerRequest request;
  request.set_name(worker.name());
  google::protobuf::Empty empty;
  ASSERT_TRUE(
      admin_->DrainWorker(NewContext().get(), request, &empty).ok());
  const RenewLeasesResponse renewed = worker.Renew({leases[0].fence()});
  EXPECT_EQ(renewed.verdicts(0), RenewLeasesResponse::GO_ON);
  EXPECT_TRUE(renewed.is_draining());
  EXPECT_TRUE(worker.Complete(leases[0]).ok());
  EXPECT_TRUE(worker.Lease(1, absl::Milliseconds(50)).empty());
  v1::ListWorkersResponse workers;
  ASSERT_TRUE(admin_->ListWorkers(NewContext().get(), empty, &workers).ok());
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_EQ(workers.workers(0).state(), "draining");
  EXPECT_EQ(workers.workers(0).completed_trials(), 1);
}

TEST_F(Leases, AWorkerWhoseFailuresPassElsewhereIsCordoned) {
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

TEST_F(Leases, AnUnknownSessionIsToldToRegister) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  v1::LeaseTrialsRequest request;
  request.set_session("session-never-heard-of");
  request.set_slots(1);
  v1::LeaseTrialsResponse response;
  const CallError error = ErrorOf(worker.TryLease(request, &response));
  EXPECT_EQ(error.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(error.reason, "SESSION_UNKNOWN");
}

}  // namespace
}  // namespace lathe::testing
