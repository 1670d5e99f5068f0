// kill -9 at any moment loses nothing that was answered.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

extern char** environ;

namespace lathe {
namespace {

constexpr char kProgram[] =
    LATHE_BIN_DIR "/../tests/lathe-acknowledging-writer";

// What a writer told before it ended, and how it ended.
struct WriterRun {
  std::map<int64_t, std::string> trial_by_fence;
  int wait_status = 0;
};

// Runs the writer with `arguments` and reads what it tells until it ends; kills
// it after `most_lines` answers.
WriterRun RunWriter(std::vector<std::string> arguments, size_t most_lines) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  arguments.insert(arguments.begin(), kProgram);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  EXPECT_EQ(
      posix_spawn(&pid, kProgram, &actions, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  FILE* told = fdopen(ends[0], "r");
  WriterRun run;
  long fence = 0;
  char name[64];
  while (std::fscanf(told, "%ld %63s\n", &fence, name) == 2) {
    EXPECT_TRUE(run.trial_by_fence.emplace(fence, name).second)
        << "fence " << fence << " twice";
    if (run.trial_by_fence.size() == most_lines) kill(pid, SIGKILL);
  }
  std::fclose(told);
  waitpid(pid, &run.wait_status, 0);
  return run;
}

TEST(Crash, LosesNothingThatWasAnswered) {
  const std::string folder = FreshFolder();
  std::map<std::string, int64_t> fence_of;
  int64_t highest = 0;
  for (const size_t lines : {1, 37, 150}) {
    const int64_t highest_before = highest;
    const WriterRun run = RunWriter({folder}, lines);
    ASSERT_TRUE(WIFSIGNALED(run.wait_status)) << "the writer ended by itself";
    for (const auto& [fence, name] : run.trial_by_fence) {
      EXPECT_GT(fence, highest_before) << "a fence came back after the crash";
      EXPECT_TRUE(fence_of.emplace(name, fence).second) << name << " twice";
      highest = std::max(highest, fence);
    }
    auto store = OpenStore({folder});
    ASSERT_TRUE(store.ok()) << store.status();
    for (const auto& [name, fence] : fence_of) {
      EXPECT_EQ((*store)->GetTrial(name).value().state(), v1::TRIAL_MEASURED);
      // The worker that repeats its call gets the stored answer.
      EXPECT_FALSE(
          (*store)->CompleteAttempt(Measured(fence), {}).value().is_new);
    }
    // Everything that shows together was written together.
    const v1::Job job = (*store)->ListJobs(1, "").value().rows.at(0);
    const auto events = (*store)->EventsAfter(job.name(), 0, 1 << 20).value();
    EXPECT_EQ(CountsText(events.back().counts()), CountsText(job.counts()));
    EXPECT_EQ(events.back().sequence(), static_cast<int64_t>(events.size()));
    const auto active = (*store)->ActiveAttempts().value();
    EXPECT_EQ(static_cast<int64_t>(active.size()), job.counts().leased());
    for (const ActiveAttempt& attempt : active) {
      highest = std::max(highest, attempt.fence);
    }
  }
}

// A failed sync may have thrown the written pages away, and the next one would
// say that all is well.
TEST(Crash, ARefusedSyncEndsTheProcessAndLosesNothingAnswered) {
  const std::string folder = FreshFolder();
  const WriterRun run =
      RunWriter({folder, /*syncs=*/"60"}, /*most_lines=*/1 << 20);
  ASSERT_TRUE(WIFEXITED(run.wait_status));
  EXPECT_EQ(WEXITSTATUS(run.wait_status), 74);
  EXPECT_FALSE(run.trial_by_fence.empty());
  auto store = OpenStore({folder});
  ASSERT_TRUE(store.ok()) << store.status();
  for (const auto& [fence, name] : run.trial_by_fence) {
    EXPECT_EQ((*store)->GetTrial(name).value().state(), v1::TRIAL_MEASURED);
  }
}

}  // namespace
}  // namespace lathe
