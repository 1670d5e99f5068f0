// The server ends and starts again in mid-search.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/file.h"
#include "proto/plan.h"
#include "server/agent_driver.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"
#include "storage/sqlite_store.h"

namespace lathe::testing {
namespace {

using Restart = ServerTest;

// Rebuilds the agent of a job from what is stored; how many stored proposals
// it would not have made.
int CountReplayDifferences(const std::string& folder, const std::string& job) {
  StoreOptions options;
  options.folder = folder;
  const auto store = *OpenStore(options);
  const v1::Job stored = *store->GetJob(job);
  const std::vector<v1::Trial> trials = *store->AllTrials(job);
  AgentDriver driver(
      *MakeAgent(stored.spec().agent(), MakeAgentContext(stored, trials[0])),
      stored.baseline().space());
  return driver.Replay(trials);
}

TEST_F(Restart, WorkInFlightCompletesUnderItsFence) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/6));
  ScriptedWorker before = NewWorker();
  RunTrials(before, 2);
  const std::vector<v1::Lease> leases = before.Lease();
  ASSERT_EQ(leases.size(), 1u);
  StopServer();
  StartServer();
  ScriptedWorker after = NewWorker(before.session(), {leases[0].fence()});
  EXPECT_EQ(after.name(), before.name());
  EXPECT_EQ(after.Renew({leases[0].fence()}).verdicts(0),
            v1::RenewLeasesResponse::GO_ON);
  EXPECT_TRUE(after.Complete(leases[0]).ok());
  EXPECT_EQ(GetTrial(job, leases[0].trial_number()).attempts(), 1);
  const v1::Job done = RunToEnd(after, job);
  EXPECT_EQ(done.state(), v1::DONE);
  EXPECT_EQ(done.counts().measured(), 6);
}

TEST_F(Restart, ALeaseWhoseAnswerWasLostIsGrantedAnewWhenItsWorkerIsBack) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker before = NewWorker();
  ASSERT_EQ(before.Lease().size(), 1u);
  StopServer();
  StartServer();
  ScriptedWorker after = NewWorker(before.session());
  // Well before the restarted server would let the lease expire.
  const std::vector<v1::Lease> leases = after.Lease(1, absl::Seconds(1));
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_TRUE(after.Complete(leases[0]).ok());
}

TEST_F(Restart, AModelAskedForBeforeIsAskedForAfterUntilItHasCome) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/3));
  ScriptedWorker before = NewWorker();
  const std::vector<v1::Lease> leases = before.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::CompleteTrialResponse answer;
  ASSERT_TRUE(before.Offer(leases[0], &answer).ok());
  EXPECT_TRUE(answer.upload_artifact());
  StopServer();
  StartServer();
  ScriptedWorker after = NewWorker(before.session(), {leases[0].fence()});
  ASSERT_TRUE(after.Offer(leases[0], &answer).ok());
  EXPECT_TRUE(answer.upload_artifact());
  const std::string digest = Upload("a finished model");
  ASSERT_TRUE(after.CompleteWithArtifact(leases[0], digest).ok());
  ASSERT_TRUE(after.Offer(leases[0], &answer).ok());
  EXPECT_FALSE(answer.upload_artifact());
  EXPECT_EQ(GetTrial(job, 0).artifact_digest(), digest);
}

// What a server leaves that is killed when it has stored the first of a new
// job's first plans.
void StoreBeginning(const std::string& folder, const v1::Job& job) {
  StoreOptions options;
  options.folder = folder;
  const auto store = *OpenStore(options);
  const absl::Time now = absl::Now();
  const GrantedLease granted =
      store->GrantLeases("session-long-ago", SimulatedProfile(), 1, now)
          .value()
          .at(0);
  v1::Lease lease;
  lease.set_trial_number(granted.trial.number());
  Completion completion;
  completion.fence = granted.fence;
  completion.state = v1::TRIAL_MEASURED;
  completion.outcome = SimulatedOutcome(lease);
  ASSERT_TRUE(store->CompleteAttempt(completion, now).ok());
  v1::Proposal proposal;
  *proposal.mutable_plan() = job.spec().first_plans(0);
  proposal.set_source(kUserSource);
  ASSERT_TRUE(store->AddTrials(job.name(), {proposal}, now).ok());
}

TEST_F(Restart, AJobsBeginningThatWasCutOffGoesOn) {
  StartServer();
  ScriptedWorker before = NewWorker();
  const std::string first = CreateJob(Spec(/*trials=*/40));
  RunToEnd(before, first);
  v1::JobSpec spec = Spec(/*trials=*/12);
  spec.set_seed(8);
  spec.add_warm_start_jobs(first);
  for (const double keep_ratio : {0.5, 1.0}) {
    v1::CompressionPlan& plan = *spec.add_first_plans();
    plan = BaselinePlan(SimulatedSpace());
    plan.mutable_layers(1)->set_keep_ratio(keep_ratio);
    plan.mutable_layers(0)->set_keep_ratio(0.5);
  }
  const std::string second = CreateJob(spec);
  const v1::Job job = GetJob(second);
  ASSERT_TRUE(Eventually([&] { return Trials(second).size() == 1; }));
  StopServer();
  StoreBeginning(folder_, job);
  StartServer();
  ScriptedWorker after = NewWorker();
  EXPECT_EQ(RunToEnd(after, second).counts().measured(), 12);
  const std::vector<v1::Trial> trials = Trials(second);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(trials[i + 1].plan_digest(), PlanDigest(spec.first_plans(i)));
  }
  const auto is_warm = [](const v1::Trial& trial) {
    return trial.proposal().source().rfind(kWarmStartPrefix, 0) == 0;
  };
  EXPECT_EQ(std::count_if(trials.begin(), trials.end(), is_warm), 3);
  std::set<std::string> plans;
  for (const v1::Trial& trial : trials) plans.insert(trial.plan_digest());
  EXPECT_EQ(plans.size(), trials.size());
}

class RestartOfAgent : public ServerTest,
                       public ::testing::WithParamInterface<std::string> {};

TEST_P(RestartOfAgent, GivesTheSearchThatWouldHaveBeenWithoutRestarts) {
  constexpr int kTrials = 24;
  StartServer();
  const std::string job = CreateJob(Spec(kTrials, GetParam()));
  for (int round = 0; round < 4; ++round) {
    ScriptedWorker worker = NewWorker();
    RunTrials(worker, 6);
    StopServer();
    EXPECT_EQ(CountReplayDifferences(folder_, job), 0)
        << "after round " << round;
    StartServer();
  }
  ASSERT_TRUE(Eventually([&] { return GetJob(job).state() == v1::DONE; }));
  EXPECT_EQ(GetJob(job).counts().measured(), kTrials);
}

INSTANTIATE_TEST_SUITE_P(Agents, RestartOfAgent,
                         ::testing::Values("random", "greedy", "rl"));

TEST_F(Restart, AWatcherIsToldToComeBackAndMissesNothing) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 2);
  v1::WatchJobRequest request;
  request.set_name(job);
  const auto context = NewContext();
  const auto reader = search_->WatchJob(context.get(), request);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  server_->Shutdown(absl::Seconds(5));
  int64_t last = event.sequence();
  while (reader->Read(&event)) last = event.sequence();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  StopServer();
  StartServer();
  ScriptedWorker again = NewWorker(worker.session());
  RunToEnd(again, job);
  for (const v1::Event& later : Watch(job, last)) {
    EXPECT_EQ(later.sequence(), ++last);
  }
  EXPECT_EQ(GetJob(job).state(), v1::DONE);
}

TEST_F(Restart, APausedJobStaysPaused) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 1);
  v1::GetJobRequest request;
  request.set_name(job);
  v1::Job paused;
  ASSERT_TRUE(search_->PauseJob(NewContext().get(), request, &paused).ok());
  StopServer();
  StartServer();
  EXPECT_EQ(GetJob(job).state(), v1::PAUSED);
  ScriptedWorker again = NewWorker(worker.session());
  EXPECT_TRUE(again.Lease(1, absl::ZeroDuration()).empty());
  ASSERT_TRUE(search_->ResumeJob(NewContext().get(), request, &paused).ok());
  EXPECT_EQ(RunToEnd(again, job).state(), v1::DONE);
}

TEST_F(Restart, ASecondServerOnTheSameFolderIsRefused) {
  StartServer();
  ServerOptions options;
  options.state_folder = folder_;
  EXPECT_EQ(Server::Start(options).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(Restart, ShutdownEndsLongPollsAtOnce) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  v1::LeaseTrialsRequest request;
  request.set_session(worker.session());
  request.set_slots(1);
  request.set_wait_seconds(30);
  const absl::Time start = absl::Now();
  std::thread parked([&] {
    v1::LeaseTrialsResponse response;
    worker.TryLease(request, &response);
  });
  server_->Shutdown(absl::Seconds(20));
  parked.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(Restart, ShutdownDoesNotWaitForIdleClients) {
  StartServer();
  // Its connection stays open, and nobody reads from it.
  ScriptedWorker idle = NewWorker();
  const absl::Time start = absl::Now();
  server_->Shutdown(absl::Seconds(20));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(Restart, TheAddressServedIsWritten) {
  StartServer();
  EXPECT_EQ(*ReadFile(absl::StrCat(folder_, "/address")), server_->address());
}

TEST(ServerStart, RefusesPlaintextBeyondThisMachine) {
  ServerOptions options;
  options.state_folder =
      (std::filesystem::temp_directory_path() / "lathe-never-made").string();
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "host:1"}) {
    options.listen = listen;
    EXPECT_EQ(Server::Start(options).status().code(),
              absl::StatusCode::kInvalidArgument)
        << listen;
  }
  EXPECT_FALSE(FileExists(options.state_folder));
}

}  // namespace
}  // namespace lathe::testing
