// lathe-server as a program: signals, exit codes, children.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "proto/names.h"
#include "server/testing/server_fixture.h"

namespace lathe::testing {
namespace {

// A program with its output in a file. Killed when dropped.
class Program {
 public:
  Program(const std::vector<std::string>& command, std::string output)
      : output_(std::move(output)) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
      arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (std::freopen(output_.c_str(), "w", stdout) == nullptr) _exit(126);
    if (std::freopen((output_ + ".err").c_str(), "a", stderr) == nullptr) {
      _exit(126);
    }
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  ~Program() {
    if (pid_ > 0) Kill(SIGKILL);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Sends the signal and waits for the end: the exit status, or -signal.
  int Kill(int signal_number) {
    kill(pid_, signal_number);
    return Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  pid_t pid() const { return pid_; }
  std::string Output() const { return ReadFile(output_).value_or(""); }
  std::string Errors() const { return ReadFile(output_ + ".err").value_or(""); }

 private:
  const std::string output_;
  pid_t pid_ = 0;
};

// The processes whose parent is `parent`.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  const std::string tasks = absl::StrCat("/proc/", parent, "/task");
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    const std::string list =
        ReadFile((task.path() / "children").string()).value_or("");
    for (const auto part : absl::StrSplit(list, ' ', absl::SkipWhitespace())) {
      children.push_back(std::stoi(std::string(part)));
    }
  }
  return children;
}

bool IsAlive(pid_t pid) { return kill(pid, 0) == 0; }

class ServerProcess : public ServerTest {
 protected:
  std::string ServerPath() {
    return std::string(LATHE_BIN_DIR) + "/lathe-server";
  }

  // Starts the program and connects to it.
  void Run(const std::vector<std::string>& more = {}) {
    std::vector<std::string> command = {ServerPath(), "--state", folder_,
                                        "--listen", "127.0.0.1:0"};
    command.insert(command.end(), more.begin(), more.end());
    std::filesystem::create_directory(outputs_);
    // A file of its own, in which nothing stands of an earlier one.
    program_ = std::make_unique<Program>(
        command, absl::StrCat(outputs_, "/", next_output_++));
    ASSERT_TRUE(Eventually([&] {
      return program_->Output().find('\n') != std::string::npos;
    })) << program_->Errors();
    std::string address = program_->Output();
    ASSERT_TRUE(address.rfind("listening on ", 0) == 0) << address;
    address = address.substr(13, address.size() - 14);
    EXPECT_EQ(*ReadFile(folder_ + "/address"), address);
    channel_ = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    search_ = v1::Search::NewStub(channel_);
    artifacts_ = v1::Artifacts::NewStub(channel_);
    admin_ = v1::Admin::NewStub(channel_);
  }

  ~ServerProcess() override {
    program_.reset();
    std::filesystem::remove_all(outputs_);
  }

  // The job, or nothing while the server is away.
  v1::Job GetJobOr(const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    v1::Job job;
    search_->GetJob(NewContext().get(), request, &job);
    return job;
  }

  // A lease; none when the server is away.
  std::vector<v1::Lease> TryLeaseOnce(ScriptedWorker& worker) {
    v1::LeaseTrialsRequest request;
    request.set_session(worker.session());
    request.set_slots(1);
    request.set_wait_seconds(20);
    v1::LeaseTrialsResponse response;
    worker.TryLease(request, &response);
    return {response.leases().begin(), response.leases().end()};
  }

  std::unique_ptr<Program> program_;

 private:
  const std::string outputs_ = folder_ + "-outputs";
  int next_output_ = 0;
};

TEST_F(ServerProcess, EndsWithZeroOnSigtermThoughStreamsAndPollsAreOpen) {
  Run();
  const std::string job = CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker();
  grpc::Status watched;
  std::thread watcher([&] { Watch(job, 0, &watched); });
  std::thread parked([&] {
    v1::LeaseTrialsRequest request;
    request.set_session(worker.session());
    request.set_slots(1);
    request.set_wait_seconds(30);
    for (v1::LeaseTrialsResponse response;
         worker.TryLease(request, &response).ok();) {
    }
  });
  ASSERT_TRUE(Eventually([&] { return GetJob(job).counts().leased() == 1; }));
  EXPECT_EQ(program_->Kill(SIGTERM), 0);
  watcher.join();
  parked.join();
  EXPECT_EQ(watched.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerProcess, ASecondOneOnTheSameStateEndsWithFiveAndSaysWhy) {
  Run();
  Program second({ServerPath(), "--state", folder_}, folder_ + "/second");
  EXPECT_EQ(second.Wait(), 5);
  EXPECT_THAT(second.Errors(), ::testing::HasSubstr(folder_));
  EXPECT_THAT(second.Errors(),
              ::testing::HasSubstr(std::to_string(program_->pid())));
  EXPECT_EQ(second.Output(), "");
}

TEST_F(ServerProcess, WrongArgumentsEndWithTwo) {
  const std::string output = folder_ + "/usage";
  const std::vector<std::vector<std::string>> cases = {
      {ServerPath()},
      {ServerPath(), "--state", folder_, "--listen", "nonsense"},
      {ServerPath(), "--state", folder_, "--listen", "0.0.0.0:0"},
      {ServerPath(), "--state", folder_, "--workers", "-1"},
      {ServerPath(), "--state", folder_, "--no-such-option"}};
  for (const std::vector<std::string>& command : cases) {
    Program program(command, output);
    EXPECT_EQ(program.Wait(), 2) << command.back();
    EXPECT_NE(program.Errors(), "") << command.back();
  }
}

TEST_F(ServerProcess, KilledAgainAndAgainLosesNothingAndRunsNothingTwice) {
  // The server dies between and inside transactions; the job ends all the
  // same, with one result a trial.
  constexpr int kTrials = 60;
  Run();
  const std::string job = CreateJob(Spec(kTrials));
  int64_t acknowledged = 0;
  for (int round = 0; round < 4; ++round) {
    ScriptedWorker worker = NewWorker();
    std::thread killer([&] {
      Eventually([&] {
        return GetJobOr(job).counts().measured() >= 10 * (round + 1);
      });
      program_->Kill(SIGKILL);
    });
    std::vector<v1::Lease> leases;
    while (!(leases = TryLeaseOnce(worker)).empty()) {
      if (worker.Complete(leases[0]).ok()) ++acknowledged;
    }
    killer.join();
    Run();
    EXPECT_GE(GetJob(job).counts().measured(), acknowledged);
  }
  ScriptedWorker worker = NewWorker();
  const v1::Job done = RunToEnd(worker, job);
  // Every replay proposed what is stored.
  EXPECT_THAT(program_->Errors(),
              ::testing::Not(::testing::HasSubstr("on replay")));
  EXPECT_EQ(done.state(), v1::DONE);
  EXPECT_EQ(done.counts().measured(), kTrials);
  std::vector<int64_t> sequences;
  for (const v1::Trial& trial : Trials(job)) {
    sequences.push_back(trial.learn_sequence());
  }
  std::sort(sequences.begin(), sequences.end());
  for (int i = 0; i < kTrials; ++i) EXPECT_EQ(sequences[i], i + 1);
}

TEST_F(ServerProcess, EndsWithTheProcessThatStartedItWhenAskedTo) {
  Program parent({"/bin/sh", "-c",
                  absl::StrCat(ServerPath(), " --state ", folder_,
                               " --exit-with-parent & wait")},
                 folder_ + "/parent");
  ASSERT_TRUE(Eventually([&] { return FileExists(folder_ + "/address"); }));
  const std::vector<pid_t> children = ChildrenOf(parent.pid());
  ASSERT_EQ(children.size(), 1u);
  EXPECT_EQ(parent.Kill(SIGKILL), -SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !IsAlive(children[0]); }));
}

TEST_F(ServerProcess, KeepsItsWorkersRunningAndTakesThemAlong) {
  if (!FileExists(std::string(LATHE_BIN_DIR) + "/lathe-worker")) {
    GTEST_SKIP() << "lathe-worker is not built";
  }
  Run({"--workers", "2"});
  const auto count_workers = [&] {
    v1::ListWorkersResponse workers;
    admin_->ListWorkers(NewContext().get(), {}, &workers);
    return workers.workers_size();
  };
  ASSERT_TRUE(Eventually([&] { return count_workers() == 2; }));
  const std::vector<pid_t> first = ChildrenOf(program_->pid());
  ASSERT_EQ(first.size(), 2u);
  kill(first[0], SIGKILL);
  ASSERT_TRUE(Eventually([&] { return count_workers() == 3; }));
  const std::vector<pid_t> second = ChildrenOf(program_->pid());
  EXPECT_EQ(program_->Kill(SIGTERM), 0);
  for (const pid_t pid : second) {
    EXPECT_TRUE(Eventually([&] { return !IsAlive(pid); }));
  }
}

TEST_F(ServerProcess, WhatItStoresIsItsUsersAlone) {
  Run();
  Upload("a model");
  CreateJob(Spec(/*trials=*/1));
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder_)) {
    // It tells no more than the port.
    if (entry.path().filename() == "address") continue;
    EXPECT_EQ(
        entry.status().permissions() & (std::filesystem::perms::group_all |
                                        std::filesystem::perms::others_all),
        std::filesystem::perms::none)
        << entry.path();
  }
}

TEST_F(ServerProcess, ItsWorkersHaveTheEvaluationLimitsThatItIsGiven) {
  Run({"--workers", "1", "--evaluation-minutes", "7.5",
       "--evaluation-memory-gib", "3"});
  ASSERT_TRUE(
      Eventually([&] { return ChildrenOf(program_->pid()).size() == 1; }));
  std::string arguments;
  // Until it has become the worker its arguments are the server's.
  ASSERT_TRUE(Eventually([&] {
    const pid_t worker = ChildrenOf(program_->pid())[0];
    arguments = ReadFile(absl::StrCat("/proc/", worker, "/cmdline")).value();
    std::replace(arguments.begin(), arguments.end(), '\0', ' ');
    return arguments.find("lathe-worker ") != std::string::npos;
  }));
  EXPECT_THAT(arguments, ::testing::HasSubstr(" --evaluation-minutes 7.5 "));
  EXPECT_THAT(arguments, ::testing::HasSubstr(" --evaluation-memory-gib 3 "));
}

TEST_F(ServerProcess, ItsWorkersDoNotOutliveItsSuddenEnd) {
  if (!FileExists(std::string(LATHE_BIN_DIR) + "/lathe-worker")) {
    GTEST_SKIP() << "lathe-worker is not built";
  }
  Run({"--workers", "2"});
  std::vector<pid_t> children;
  ASSERT_TRUE(Eventually([&] {
    children = ChildrenOf(program_->pid());
    return children.size() == 2;
  }));
  EXPECT_EQ(program_->Kill(SIGKILL), -SIGKILL);
  for (const pid_t pid : children) {
    EXPECT_TRUE(Eventually([&] { return !IsAlive(pid); })) << pid;
  }
}

}  // namespace
}  // namespace lathe::testing
