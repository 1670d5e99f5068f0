#include "client/worker/evaluator_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr char kProgram[] =
    LATHE_BIN_DIR "/../tests/lathe-misbehaving-evaluator";

class EvaluatorProcessTest : public testing::Test {
 protected:
  EvaluatorProcessTest()
      : folder_(absl::StrCat(testing::TempDir(), "/lathe_evaluator_process_",
                             getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~EvaluatorProcessTest() override { std::filesystem::remove_all(folder_); }

  static EvaluatorProcessOptions Options(
      const std::vector<std::string>& arguments = {},
      absl::Duration time_limit = absl::Minutes(1)) {
    EvaluatorProcessOptions options;
    options.command = {kProgram};
    options.command.insert(options.command.end(), arguments.begin(),
                           arguments.end());
    options.time_limit = time_limit;
    return options;
  }

  // A request that triggers what `name` says (see misbehaving_evaluator.cc).
  v1::EvaluationRequest Request(const std::string& name, int bits = 2) {
    v1::EvaluationRequest request;
    request.mutable_job()->mutable_spec()->set_display_name(name);
    request.mutable_plan()->add_layers()->set_weight_bits(bits);
    request.set_output_folder(folder_);
    return request;
  }

  v1::Outcome Evaluate(EvaluatorProcess& process,
                       const v1::EvaluationRequest& request) {
    auto response = process.Evaluate(request, stop_);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->outcome() : v1::Outcome();
  }

  const std::string folder_;
  StopSignal stop_;
};

TEST_F(EvaluatorProcessTest, MeasuresAndLeavesTheArtifactInAFile) {
  EvaluatorProcess process(Options());
  const v1::EvaluationResponse response =
      process.Evaluate(Request("", 8), stop_).value();
  EXPECT_EQ(response.outcome().kind(), v1::MEASURED);
  EXPECT_EQ(response.outcome().measurement().accuracy(), 1);
  EXPECT_EQ(ReadFile(response.artifact_path()).value(), "artifact");
  EXPECT_FALSE(response.outcome().has_baseline());
}

TEST_F(EvaluatorProcessTest, WithoutAPlanItMeasuresTheBaseline) {
  EvaluatorProcess process(Options());
  v1::EvaluationRequest request = Request("");
  request.clear_plan();
  const v1::EvaluationResponse response =
      process.Evaluate(request, stop_).value();
  EXPECT_TRUE(response.outcome().has_baseline());
  EXPECT_EQ(ReadFile(response.activation_stats_path()).value(), "stats");
}

TEST_F(EvaluatorProcessTest, TrialsGoOnWithWhatTheirBaselineOpened) {
  EvaluatorProcess process(Options());
  v1::EvaluationRequest baseline = Request("a");
  baseline.clear_plan();
  const std::string left =
      process.Evaluate(baseline, stop_)->activation_stats_path();
  const auto evaluations_with = [&](const std::string& stats) {
    const std::string path = absl::StrCat(folder_, "/stats of ", stats);
    EXPECT_TRUE(WriteFileAtomically(path, stats).ok());
    v1::EvaluationRequest request = Request("a", 8);
    request.mutable_job()->set_activation_stats_path(path);
    return Evaluate(process, request).measurement().accuracy();
  };
  EXPECT_EQ(evaluations_with("others"), 1);
  EXPECT_EQ(evaluations_with(ReadFile(left).value()), 2);
  EXPECT_EQ(evaluations_with(ReadFile(left).value()), 3);
  EXPECT_EQ(evaluations_with("others"), 2);
}

TEST_F(EvaluatorProcessTest, TheChildKeepsTheLastFewJobsOpen) {
  EvaluatorProcess process(Options());
  const auto evaluations_of = [&](const std::string& name) {
    return Evaluate(process, Request(name, 8)).measurement().accuracy();
  };
  EXPECT_EQ(evaluations_of("a"), 1);
  EXPECT_EQ(evaluations_of("b"), 1);
  EXPECT_EQ(evaluations_of("c"), 1);
  EXPECT_EQ(evaluations_of("a"), 2);
  EXPECT_EQ(evaluations_of("d"), 1);  // "b" was used longest ago.
  EXPECT_EQ(evaluations_of("a"), 3);
  EXPECT_EQ(evaluations_of("b"), 1);
}

struct Misbehaviour {
  const char* name;
  v1::OutcomeKind kind;
  const char* reason;
};

TEST_F(EvaluatorProcessTest, EveryMisbehaviourHasItsClassAndHarmsNoLaterOne) {
  constexpr Misbehaviour kAll[] = {
    {"abort", v1::CRASH, "signal 6"},
    {"exit", v1::CRASH, "status 3"},
    {"bad_alloc", v1::OUT_OF_MEMORY, "memory"},
    {"exhausted", v1::OUT_OF_MEMORY, "memory"},
    {"throw", v1::CRASH, "kernel failed"},
    {"infeasible", v1::INFEASIBLE, "no such kernel"},
    {"bad model", v1::BAD_INPUT, "unknown operator"},
    {"unreadable", v1::TRANSIENT, "cannot read"},
    {"unknown", v1::TRANSIENT, "unknown"},
// Sanitizers end the process themselves.
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && \
    !defined(ABSL_HAVE_THREAD_SANITIZER)
    {"segfault", v1::CRASH, "signal 11"},
    {"allocate", v1::OUT_OF_MEMORY, "memory"},
#endif
  };
  EvaluatorProcess process(Options());
  for (const Misbehaviour& one : kAll) {
    const v1::Outcome outcome = Evaluate(process, Request(one.name));
    EXPECT_EQ(outcome.kind(), one.kind) << one.name << outcome.DebugString();
    EXPECT_TRUE(absl::StrContains(outcome.reason(), one.reason))
        << one.name << outcome.DebugString();
    EXPECT_EQ(Evaluate(process, Request("", 8)).kind(), v1::MEASURED)
        << "after " << one.name;
  }
}

TEST_F(EvaluatorProcessTest, ACrashTellsTheLastWords) {
  EvaluatorProcess process(Options());
  EXPECT_TRUE(absl::StrContains(Evaluate(process, Request("abort")).reason(),
                                "its last words: first line | about to abort"));
}

TEST_F(EvaluatorProcessTest, WhatAnEvaluatorPrintsDoesNotReachTheMessages) {
  EvaluatorProcess process(Options());
  EXPECT_EQ(Evaluate(process, Request("print")).kind(), v1::MEASURED);
}

TEST_F(EvaluatorProcessTest, AHangIsATimeout) {
  EvaluatorProcess process(Options({}, absl::Milliseconds(50)));
  const v1::Outcome outcome = Evaluate(process, Request("hang"));
  EXPECT_EQ(outcome.kind(), v1::TIMEOUT);
  EXPECT_EQ(process.pid(), 0);
}

TEST_F(EvaluatorProcessTest, GarbageIsACrash) {
  EvaluatorProcess process(Options({"garbage"}));
  const v1::Outcome outcome = Evaluate(process, Request(""));
  EXPECT_EQ(outcome.kind(), v1::CRASH);
  EXPECT_TRUE(absl::StrContains(outcome.reason(), "garbage"));
}

TEST_F(EvaluatorProcessTest, AChildThatEndsAtOnceIsACrash) {
  EvaluatorProcess process(Options({"at-once"}));
  const v1::Outcome outcome = Evaluate(process, Request(""));
  EXPECT_EQ(outcome.kind(), v1::CRASH);
  EXPECT_TRUE(absl::StrContains(outcome.reason(), "status 7"));
}

TEST_F(EvaluatorProcessTest, AChildKilledWhileIdleIsReplacedUnnoticed) {
  EvaluatorProcess process(Options());
  EXPECT_EQ(Evaluate(process, Request("", 8)).kind(), v1::MEASURED);
  const pid_t first = process.pid();
  kill(first, SIGKILL);
  // Waits until it is dead, and leaves it to the process to find out.
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, first, &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(Evaluate(process, Request("", 8)).kind(), v1::MEASURED);
  EXPECT_NE(process.pid(), first);
}

// The first line of a /proc file that starts with `key`, without the key.
std::string ProcLine(pid_t pid, const std::string& file,
                     const std::string& key) {
  std::ifstream lines(absl::StrCat("/proc/", pid, "/", file));
  for (std::string line; std::getline(lines, line);) {
    if (absl::StartsWith(line, key)) return line.substr(key.size());
  }
  return "";
}

TEST_F(EvaluatorProcessTest, TheChildCannotGainRightsOrFillTheMachine) {
  EvaluatorProcess process(Options());
  Evaluate(process, Request("", /*bits=*/8));
  EXPECT_EQ(ProcLine(process.pid(), "status", "NoNewPrivs:"), "\t1");
  for (const std::string limit :
       {"Max core file size", "Max open files", "Max file size"}) {
    const std::string line = ProcLine(process.pid(), "limits", limit);
    EXPECT_NE(line, "");
    EXPECT_FALSE(absl::StrContains(line, "unlimited")) << limit << line;
  }
}

TEST_F(EvaluatorProcessTest, AChildThatOthersKilledIsACrash) {
  EvaluatorProcess process(Options());
  const v1::Outcome outcome = Evaluate(process, Request("killed"));
  EXPECT_EQ(outcome.kind(), v1::CRASH);
  EXPECT_TRUE(absl::StrContains(outcome.reason(), "signal 9"));
}

TEST_F(EvaluatorProcessTest, AChildKilledTogetherWithItsWorkerIsNoCrash) {
  for (const std::string name : {"killed", "terminated"}) {
    EvaluatorProcess process(Options());
    StopSignal stop;
    // The child goes first; the worker hears of its own end a little later.
    std::thread scheduler([&stop] {
      absl::SleepFor(absl::Milliseconds(300));
      stop.Stop(StopSignal::Reason::kPreempted);
    });
    EXPECT_TRUE(
        absl::IsCancelled(process.Evaluate(Request(name), stop).status()));
    scheduler.join();
  }
}

TEST_F(EvaluatorProcessTest, StopKillsWhatRuns) {
  EvaluatorProcess process(Options());
  std::thread stopper([this] { stop_.Stop(StopSignal::Reason::kShutdown); });
  EXPECT_TRUE(
      absl::IsCancelled(process.Evaluate(Request("hang"), stop_).status()));
  stopper.join();
  EXPECT_TRUE(
      absl::IsCancelled(process.Evaluate(Request("", 8), stop_).status()));
  StopSignal next;
  EXPECT_TRUE(process.Evaluate(Request("", 8), next).ok());
}

TEST_F(EvaluatorProcessTest, AProgramThatIsNotThereIsAnError) {
  EvaluatorProcessOptions options;
  options.command = {"/nonexistent/evaluator"};
  EvaluatorProcess process(options);
  const absl::Status status = process.Evaluate(Request(""), stop_).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && \
    !defined(ABSL_HAVE_THREAD_SANITIZER)
TEST_F(EvaluatorProcessTest, AnEvaluationTakesNoMoreMemoryThanItMay) {
  const v1::EvaluationRequest request = Request("take 8 GiB");
  const auto with_limit = [](int64_t gib) {
    return Options({"--memory-bytes", absl::StrCat(gib << 30)});
  };
  EvaluatorProcess large(with_limit(10));
  EXPECT_EQ(Evaluate(large, request).kind(), v1::MEASURED);
  EvaluatorProcess small(with_limit(1));
  EXPECT_EQ(Evaluate(small, request).kind(), v1::OUT_OF_MEMORY);
  // The child lives on.
  EXPECT_EQ(Evaluate(small, Request("", 8)).kind(), v1::MEASURED);
}
#endif

}  // namespace
}  // namespace lathe
