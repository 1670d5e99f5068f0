// kill -9 at any moment loses nothing that was answered.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

extern char** environ;

namespace lathe {
namespace {

constexpr char kProgram[] =
    LATHE_BIN_DIR "/../tests/lathe-acknowledging-writer";

// What a killed writer had told: trial names by fence.
using Acknowledged = std::map<int64_t, std::string>;

// Runs the writer, kills it after `lines` answers, and returns all it told.
Acknowledged RunAndKill(const std::string& folder, int lines) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = kProgram, argument = folder;
  char* argv[] = {program.data(), argument.data(), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, kProgram, &actions, nullptr, argv, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  FILE* told = fdopen(ends[0], "r");
  Acknowledged acknowledged;
  long fence = 0;
  char name[64];
  while (std::fscanf(told, "%ld %63s\n", &fence, name) == 2) {
    EXPECT_TRUE(acknowledged.emplace(fence, name).second)
        << "fence " << fence << " twice";
    if (static_cast<int>(acknowledged.size()) == lines) kill(pid, SIGKILL);
  }
  std::fclose(told);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
  return acknowledged;
}

TEST(Crash, LosesNothingThatWasAnswered) {
  const std::string folder = FreshFolder();
  std::map<std::string, int64_t> fence_of;
  int64_t highest = 0;
  for (const int lines : {1, 37, 150}) {
    const int64_t highest_before = highest;
    for (const auto& [fence, name] : RunAndKill(folder, lines)) {
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

}  // namespace
}  // namespace lathe
