// Leases through the API: fences, renewals, waiting, draining.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using Leases = ServerTest;
using v1::RenewLeasesResponse;

TEST_F(Leases, AnExpiredLeaseIsFencedAndItsTrialRunsElsewhere) {
  StartServer(/*ttl=*/absl::Milliseconds(500));
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
  StartServer(/*ttl=*/absl::Milliseconds(700));
  CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  const absl::Time until = absl::Now() + absl::Milliseconds(1500);
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
  // The worker did not offer it.
  EXPECT_FALSE(first.upload_artifact());
  v1::Outcome other = SimulatedOutcome(leases[0]);
  other.mutable_measurement()->set_accuracy(0.1);
  other.mutable_measurement()->set_correct(100);
  v1::CompleteTrialResponse again;
  ASSERT_TRUE(worker.Complete(leases[0].fence(), other, &again).ok());
  EXPECT_FALSE(again.upload_artifact());
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
  ASSERT_TRUE(search_->CancelJob(NewContext().get(), request, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), v1::CANCELLED);
  EXPECT_EQ(worker.Renew({leases[0].fence()}).verdicts(0),
            RenewLeasesResponse::STOP);
  EXPECT_EQ(ErrorOf(worker.Complete(leases[0])).reason, "LEASE_FENCED");
  EXPECT_TRUE(worker.Lease(1, absl::ZeroDuration()).empty());
  ASSERT_TRUE(search_->CancelJob(NewContext().get(), request, &cancelled).ok());
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
      granted[i] = static_cast<int>(worker.Lease(1, absl::Seconds(1)).size());
    });
  }
  CreateJob(Spec(/*trials=*/1));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(granted.begin(), granted.end(), 1), 1);
}

// A LeaseTrials call that waits without a thread of its own.
struct ParkedCall {
  grpc::ClientContext context;
  v1::LeaseTrialsRequest request;
  v1::LeaseTrialsResponse response;
  absl::Notification is_over;
};

std::unique_ptr<ParkedCall> Park(v1::Workers::Stub& stub,
                                 const std::string& session) {
  auto call = std::make_unique<ParkedCall>();
  call->request.set_session(session);
  call->request.set_slots(1);
  call->request.set_wait_seconds(20);
  stub.async()->LeaseTrials(
      &call->context, &call->request, &call->response,
      [call = call.get()](const grpc::Status&) { call->is_over.Notify(); });
  return call;
}

TEST_F(Leases, AnyNumberOfWorkersWithoutWorkHoldsUpNoneBehindThem) {
  StartServer();
  const auto stub = v1::Workers::NewStub(channel_);
  std::vector<std::unique_ptr<ParkedCall>> calls;
  for (int i = 0; i < 150; ++i) {
    const ScriptedWorker common =
        NewWorker("session-of-worker-" + std::to_string(i));
    calls.push_back(Park(*stub, common.session()));
  }
  v1::RegisterWorkerRequest rare;
  rare.set_session("session-of-the-rare-one");
  *rare.mutable_capabilities()->mutable_profile() = SimulatedProfile();
  rare.mutable_capabilities()->mutable_profile()->set_cpu("rare");
  v1::RegisterWorkerResponse registered;
  ASSERT_TRUE(stub->RegisterWorker(NewContext().get(), rare, &registered).ok());
  // Behind the others.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  calls.push_back(Park(*stub, rare.session()));
  v1::JobSpec spec = Spec(/*trials=*/1);
  *spec.mutable_target_profile() = rare.capabilities().profile();
  CreateJob(spec);
  EXPECT_TRUE(
      calls.back()->is_over.WaitForNotificationWithTimeout(absl::Seconds(10)));
  for (const auto& call : calls) call->context.TryCancel();
  for (const auto& call : calls) call->is_over.WaitForNotification();
  EXPECT_EQ(calls.back()->response.leases_size(), 1);
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

TEST_F(Leases, ADrainingWorkerFinishesWhatItRunsAndGetsNothingMore) {
  StartServer();
  CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::DrainWorkerRequest request;
  request.set_name(worker.name());
  google::protobuf::Empty empty;
  ASSERT_TRUE(admin_->DrainWorker(NewContext().get(), request, &empty).ok());
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

TEST_F(Leases, AParkedWorkerThatIsDrainedIsAnsweredAtOnce) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  const absl::Time start = absl::Now();
  std::thread parked([&] { EXPECT_TRUE(worker.Lease().empty()); });
  v1::DrainWorkerRequest request;
  request.set_name(worker.name());
  google::protobuf::Empty empty;
  // Again and again, because the worker may not be parked yet.
  std::atomic<bool> is_answered{false};
  std::thread drainer([&] {
    Eventually([&] {
      admin_->DrainWorker(NewContext().get(), request, &empty);
      return is_answered.load();
    });
  });
  parked.join();
  is_answered = true;
  drainer.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(Leases, AWorkerGetsNothingThatItCannotFinishInItsTime) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  const auto lease = [](ScriptedWorker& asking, double remaining_seconds) {
    v1::LeaseTrialsRequest request;
    request.set_session(asking.session());
    request.set_slots(1);
    request.set_wait_seconds(0.05);
    request.set_remaining_lifetime_seconds(remaining_seconds);
    v1::LeaseTrialsResponse response;
    EXPECT_TRUE(asking.TryLease(request, &response).ok());
    return std::vector<v1::Lease>(response.leases().begin(),
                                  response.leases().end());
  };
  // Nobody knows yet how long an evaluation takes.
  const std::vector<v1::Lease> first = lease(worker, 10);
  ASSERT_EQ(first.size(), 1u);
  v1::Outcome outcome = SimulatedOutcome(first[0]);
  outcome.mutable_measurement()->set_evaluation_seconds(100);
  ASSERT_TRUE(worker.Complete(first[0].fence(), outcome).ok());
  ASSERT_TRUE(Eventually([&] { return GetJob(job).counts().pending() > 0; }));
  EXPECT_TRUE(lease(worker, 90).empty());
  // Before its first, a worker is judged by the others'.
  ScriptedWorker other = NewWorker("session-of-the-other-one");
  EXPECT_TRUE(lease(other, 90).empty());
  EXPECT_EQ(lease(worker, 1000).size(), 1u);
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

TEST_F(Leases, ATrialTellsHowFarItsWorkerIs) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/2));
  ScriptedWorker worker = NewWorker();
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_FALSE(GetTrial(job, 0).has_progress());
  const auto stub = v1::Workers::NewStub(channel_);
  v1::RenewLeasesRequest request;
  request.set_session(worker.session());
  request.add_fences(leases[0].fence());
  v1::TrialProgress& progress = *request.add_progress();
  progress.set_stage("evaluating");
  progress.set_seconds(1.5);
  v1::RenewLeasesResponse response;
  ASSERT_TRUE(stub->RenewLeases(NewContext().get(), request, &response).ok());
  EXPECT_EQ(GetTrial(job, 0).progress().stage(), "evaluating");
  EXPECT_EQ(GetTrial(job, 0).progress().seconds(), 1.5);
  progress.set_seconds(std::nan(""));
  EXPECT_EQ(
      ErrorOf(stub->RenewLeases(NewContext().get(), request, &response)).reason,
      "FIELD_INVALID");
  request.add_progress();
  EXPECT_EQ(
      ErrorOf(stub->RenewLeases(NewContext().get(), request, &response)).reason,
      "FIELD_INVALID");
  ASSERT_TRUE(worker.Complete(leases[0]).ok());
  EXPECT_FALSE(GetTrial(job, 0).has_progress());
}

TEST_F(Leases, OfALadderBringTheFrontierAndItsEarlyEndsAreNoResult) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/16, "rl");
  spec.set_fidelity("ladder");
  const std::string job = CreateJob(spec);
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 2);
  const v1::Trial first = GetTrial(job, 1);
  std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  // It was granted after trial 1 had ended.
  const v1::Rivals& rivals = leases[0].rivals();
  ASSERT_EQ(rivals.rivals_size(), 1);
  EXPECT_EQ(rivals.rivals(0).number(), 1);
  EXPECT_EQ(rivals.rivals(0).latency_ratio(),
            first.measurement().latency_ratio());
  EXPECT_EQ(rivals.rivals(0).plan().layers_size(), 3);
  EXPECT_GT(rivals.predicted_latency_ratio(), 0);
  EXPECT_TRUE(rivals.counts_latency());
  EXPECT_FALSE(rivals.counts_size());
  // Better than all, if it were measured.
  v1::Outcome outcome = SimulatedOutcome(leases[0]);
  outcome.mutable_measurement()->set_accuracy(1);
  outcome.mutable_measurement()->set_latency_ratio(0.01);
  outcome.mutable_measurement()->mutable_early_stop()->set_samples(64);
  outcome.mutable_measurement()->mutable_early_stop()->set_beaten_by(1);
  outcome.mutable_measurement()->mutable_early_stop()->set_confidence(0.99);
  v1::CompleteTrialResponse answer;
  ASSERT_TRUE(worker.Complete(leases[0].fence(), outcome, &answer).ok());
  EXPECT_FALSE(answer.upload_artifact());
  const int64_t looked = leases[0].trial_number();
  EXPECT_EQ(GetTrial(job, looked).state(), v1::TRIAL_MEASURED);
  RunToEnd(worker, job);
  EXPECT_EQ(GetJob(job).counts().measured(), 16);
  v1::GetFrontierRequest request;
  request.set_name(job);
  v1::Frontier frontier;
  ASSERT_TRUE(
      search_->GetFrontier(NewContext().get(), request, &frontier).ok());
  for (const v1::Trial& member : frontier.trials()) {
    EXPECT_NE(member.number(), looked);
  }
  // The next job proposes that plan again, and measures it itself.
  const std::string again = CreateJob(Spec(/*trials=*/16, "rl"));
  RunToEnd(worker, again);
  const v1::Trial measured = GetTrial(again, looked);
  EXPECT_EQ(measured.plan_digest(), GetTrial(job, looked).plan_digest());
  EXPECT_EQ(measured.reused_from(), "");
  EXPECT_FALSE(measured.measurement().has_early_stop());
}

TEST_F(Leases, OfOtherJobsBringNoRivals) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/4, "rl"));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 2);
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_FALSE(leases[0].has_rivals());
}

}  // namespace
}  // namespace lathe::testing
