// The whole worker, its evaluating child included, against a scripted server.
#include "client/worker/worker_loop.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "client/worker/testing/scripted_server.h"
#include "client/worker/worker_control.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using Calls = std::vector<std::string>;

class WorkerLoopTest : public testing::Test {
 protected:
  WorkerLoopTest()
      : cache_(
            absl::StrCat(testing::TempDir(), "/lathe_worker_loop_", getpid())) {
    // As in a worker: before gRPC starts threads that would die of them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::filesystem::create_directories(cache_ + "/blobs");
  }
  ~WorkerLoopTest() override { std::filesystem::remove_all(cache_); }

  // Puts a blob into the cache, so that it need not be fetched.
  std::string Blob(const std::string& bytes) {
    std::string digest = Sha256Hex(bytes);
    EXPECT_TRUE(WriteFileAtomically(cache_ + "/blobs/" + digest, bytes).ok());
    return digest;
  }

  // A lease whose evaluation does what `name` says (misbehaving_evaluator.cc);
  // "" is measured.
  v1::Lease Lease(int64_t fence, const std::string& name = "") {
    v1::Lease lease;
    lease.set_fence(fence);
    lease.set_trial(absl::StrCat("jobs/1/trials/", fence));
    lease.set_trial_number(fence);
    lease.mutable_spec()->set_display_name(name);
    lease.mutable_spec()->set_model_digest(Blob("model"));
    lease.mutable_spec()->mutable_dataset()->set_digest(Blob("data"));
    lease.mutable_plan()->add_layers()->set_weight_bits(name.empty() ? 8 : 2);
    return lease;
  }

  // Runs a worker until the script drains it; what the server was asked.
  Calls Run(const Script& script, const Placement& placement = {}) {
    ScriptedServer server(script);
    const absl::Status status = RunAgainst(server, placement);
    EXPECT_TRUE(status.ok()) << status;
    return server.calls();
  }

  absl::Status RunAgainst(const ScriptedServer& server,
                          const Placement& placement) {
    WorkerOptions options;
    options.server = server.address();
    options.cache_folder = cache_;
    options.placement = placement;
    options.evaluator_command = {LATHE_BIN_DIR
                                 "/../tests/lathe-misbehaving-evaluator"};
    return RunWorkerAs(options, {});
  }

  const std::string cache_;
};

TEST_F(WorkerLoopTest, CompletesOneLeaseAfterAnother) {
  Script script;
  script.leases = {Lease(1), Lease(2)};
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "complete 2 MEASURED"));
}

TEST_F(WorkerLoopTest, StoresTheStatisticsOfTrial0BeforeItCompletesIt) {
  Script script;
  script.leases = {Lease(1)};
  script.leases[0].set_trial_number(0);
  EXPECT_THAT(Run(script),
              ElementsAre("register []", "find " + Sha256Hex("stats"),
                          "complete 1 MEASURED baseline"));
}

TEST_F(WorkerLoopTest, UploadsTheArtifactBeforeTheTrialEndsWhenAskedTo) {
  Script script;
  script.leases = {Lease(1)};
  script.asks_for_artifact = true;
  const std::string digest = Sha256Hex("artifact");
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "find " + digest,
                                       "complete 1 MEASURED with " + digest));
}

TEST_F(WorkerLoopTest, AMeasurementWhoseModelFindsNoRoomIsKept) {
  Script script;
  script.leases = {Lease(1)};
  script.asks_for_artifact = true;
  script.uploads = {absl::ResourceExhaustedError("disk full")};
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "find " + Sha256Hex("artifact"),
                                       "complete 1 MEASURED"));
}

TEST_F(WorkerLoopTest, SigtermBeforeTheModelIsStoredGivesTheLeaseBack) {
  Script script;
  script.leases = {Lease(1)};
  script.asks_for_artifact = true;
  script.uploads.assign(100'000, absl::DeadlineExceededError("slow"));
  script.at_renewal = [] { kill(getpid(), SIGTERM); };
  const Calls calls = Run(script);
  EXPECT_THAT(calls, Contains("release 1 DRAIN"));
  EXPECT_THAT(calls, Not(Contains(testing::HasSubstr("with"))));
}

TEST_F(WorkerLoopTest, RepeatsACompletionUntilItIsAnswered) {
  Script script;
  script.leases = {Lease(1)};
  script.completions = {absl::UnavailableError("restarting"),
                        absl::DeadlineExceededError("slow")};
  EXPECT_THAT(Run(script),
              ElementsAre("register []", "complete 1 MEASURED",
                          "complete 1 MEASURED", "complete 1 MEASURED"));
}

TEST_F(WorkerLoopTest, RegistersAnewWithItsFenceWhenTheServerForgotIt) {
  Script script;
  script.leases = {Lease(1)};
  script.completions = {absl::NotFoundError("session unknown")};
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "register [1]", "complete 1 MEASURED"));
}

TEST_F(WorkerLoopTest, LeavesATrialAloneOnceItsLeaseIsFenced) {
  Script script;
  script.leases = {Lease(1), Lease(2)};
  script.completions = {absl::AbortedError("fenced")};
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "complete 2 MEASURED"));
}

TEST_F(WorkerLoopTest, AnOutcomeThatIsRefusedEndsAsTransient) {
  Script script;
  script.leases = {Lease(1)};
  script.completions = {absl::InvalidArgumentError("accuracy is NaN")};
  EXPECT_THAT(Run(script), ElementsAre("register []", "complete 1 MEASURED",
                                       "complete 1 TRANSIENT"));
}

TEST_F(WorkerLoopTest, TellsHowAnEvaluationFailed) {
  Script script;
  script.leases = {Lease(1, "abort"), Lease(2, "bad_alloc"),
                   Lease(3, "infeasible"), Lease(4)};
  EXPECT_THAT(
      Run(script),
      ElementsAre("register []", "complete 1 CRASH", "complete 2 OUT_OF_MEMORY",
                  "complete 3 INFEASIBLE", "complete 4 MEASURED"));
}

TEST_F(WorkerLoopTest, GivesATrialBackThatIsNotWantedAnyMore) {
  Script script;
  script.leases = {Lease(1, "hang")};
  script.verdict = v1::RenewLeasesResponse::STOP;
  EXPECT_THAT(Run(script), ElementsAre("register []", "release 1 PREEMPTED"));
}

TEST_F(WorkerLoopTest, StopsSilentlyWhenTheLeaseIsLost) {
  Script script;
  script.leases = {Lease(1, "hang")};
  script.verdict = v1::RenewLeasesResponse::LOST;
  EXPECT_THAT(Run(script), ElementsAre("register []"));
}

TEST_F(WorkerLoopTest, StopsByItselfWhenNoRenewalGetsThrough) {
  Script script;
  script.leases = {Lease(1, "hang")};
  script.renewal = absl::UnavailableError("partition");
  script.give_up_seconds = 0.1;
  EXPECT_THAT(Run(script), ElementsAre("register []"));
}

TEST_F(WorkerLoopTest, SigtermGivesTheLeaseBack) {
  Script script;
  script.leases = {Lease(1, "hang"), Lease(2)};
  script.at_renewal = [] { kill(getpid(), SIGTERM); };
  const Calls calls = Run(script);
  EXPECT_THAT(calls, Contains("release 1 DRAIN"));
  EXPECT_THAT(calls, Not(Contains("complete 2 MEASURED")));
}

TEST_F(WorkerLoopTest, UnderASchedulerSigtermIsAPreemption) {
  Script script;
  script.leases = {Lease(1, "hang")};
  script.at_renewal = [] { kill(getpid(), SIGTERM); };
  Placement placement;
  placement.name = "slurm:7_3";
  EXPECT_THAT(Run(script, placement), Contains("release 1 PREEMPTED"));
}

// As those that OpenBLAS starts before main().
TEST_F(WorkerLoopTest, SigtermMayReachAThreadThatDoesNotBlockIt) {
  std::atomic<bool> is_over = false;
  std::thread unaware([&is_over] {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  Script script;
  script.leases = {Lease(1, "hang")};
  script.at_renewal = [&] {
    // A handler passes it on.
    // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread)
    pthread_kill(unaware.native_handle(), SIGTERM);
  };
  EXPECT_THAT(Run(script), Contains("release 1 DRAIN"));
  is_over = true;
  unaware.join();
}

TEST_F(WorkerLoopTest, GivesTheLeaseBackBeforeItsTimeIsOver) {
  Script script;
  script.leases = {Lease(1, "hang"), Lease(2)};
  Placement placement;
  placement.name = "slurm:7_3";
  placement.end =
      absl::Now() + WorkerControl::kTimeLimitMargin + absl::Milliseconds(500);
  const Calls calls = Run(script, placement);
  EXPECT_THAT(calls, Contains("release 1 TIME_LIMIT"));
  EXPECT_THAT(calls, Not(Contains("complete 2 MEASURED")));
}

TEST_F(WorkerLoopTest, TellsTheServerHowMuchTimeIsLeft) {
  Script script;
  script.leases = {Lease(1)};
  Placement placement;
  placement.name = "slurm:7_3";
  placement.end = absl::Now() + absl::Hours(1);
  ScriptedServer server(script);
  EXPECT_TRUE(RunAgainst(server, placement).ok());
  ASSERT_TRUE(server.remaining_seconds().has_value());
  EXPECT_NEAR(*server.remaining_seconds(), 3590, 60);
}

TEST_F(WorkerLoopTest, LeavesNoFilesOfEvaluationsBehind) {
  Script script;
  script.leases = {Lease(1)};
  Run(script);
  for (const auto& entry : std::filesystem::directory_iterator(cache_)) {
    EXPECT_EQ(entry.path().filename(), "blobs");
  }
}

TEST_F(WorkerLoopTest, RefusesOptionsThatCannotBe) {
  WorkerOptions options;
  EXPECT_TRUE(absl::IsInvalidArgument(RunWorkerAs(options, {})));
  options.server = "127.0.0.1:1";
  EXPECT_TRUE(absl::IsInvalidArgument(RunWorkerAs(options, {})));
  options.cache_folder = cache_;
  options.threads = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(RunWorkerAs(options, {})));
}

}  // namespace
}  // namespace lathe
