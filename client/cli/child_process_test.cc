#include "client/cli/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "client/cli/local_fleet.h"

namespace lathe {
namespace {

std::string LogPath() {
  return ::testing::TempDir() + "/child_process_test." +
         std::to_string(getpid()) + ".log";
}

absl::StatusOr<std::unique_ptr<ChildProcess>> StartShell(
    const std::string& script) {
  return ChildProcess::Start({"/bin/sh", "-c", script}, LogPath());
}

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }

TEST(ChildProcess, GivesItsOutputByLinesAndItsEnd) {
  const auto child = StartShell("echo one; echo two; echo err >&2; exit 3");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(*(*child)->ReadLine(Soon()), "one");
  EXPECT_EQ(*(*child)->ReadLine(Soon()), "two");
  EXPECT_TRUE(absl::IsUnavailable((*child)->ReadLine(Soon()).status()));
  (*child)->AwaitEnd(Soon());
  EXPECT_EQ((*child)->Ended(), "exit code 3");
  EXPECT_TRUE(absl::EndsWith(*ReadFile(LogPath()), "err\n"));
}

TEST(ChildProcess, WaitsForALineNoLongerThanTold) {
  const auto child = StartShell("exec sleep 100");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE(
      absl::IsDeadlineExceeded((*child)->ReadLine(absl::Now()).status()));
  EXPECT_FALSE((*child)->Ended().has_value());
}

TEST(ChildProcess, IsKilledWhenItDoesNotEndInTime) {
  const auto child =
      StartShell("trap '' TERM; echo ready; read never; sleep 9");
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ(*(*child)->ReadLine(Soon()), "ready");
  (*child)->Terminate();
  (*child)->AwaitEnd(absl::InfinitePast());
  EXPECT_EQ((*child)->Ended(), "signal 9");
}

TEST(ChildProcess, TellsThatItsProgramCouldNotRun) {
  const auto child = ChildProcess::Start({"/nonexistent/program"}, LogPath());
  ASSERT_TRUE(child.ok()) << child.status();
  (*child)->AwaitEnd(Soon());
  EXPECT_EQ((*child)->Ended(), "exit code 127");
}

TEST(ChildProcess, DoesNotOutliveAParentThatIsKilled) {
  int output[2];
  ASSERT_EQ(pipe(output), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    // Tells its child's number, then waits to be killed.
    const auto child = StartShell("exec sleep 1000");
    const std::string pid = std::to_string((*child)->pid()) + "\n";
    if (write(output[1], pid.data(), pid.size()) < 0) _exit(1);
    pause();
    _exit(0);
  }
  close(output[1]);
  char text[32] = {};
  ASSERT_GT(read(output[0], text, sizeof(text) - 1), 0);
  close(output[0]);
  int grandchild = 0;
  ASSERT_TRUE(absl::SimpleAtoi(text, &grandchild));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  // It is gone, or a zombie that nobody has waited for yet.
  const absl::Time deadline = Soon();
  const auto is_alive = [grandchild] {
    const absl::StatusOr<std::string> stat =
        ReadFile("/proc/" + std::to_string(grandchild) + "/stat");
    return stat.ok() && !absl::StrContains(*stat, ") Z ");
  };
  while (is_alive() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_FALSE(is_alive());
}

TEST(LocalFleet, LeavesACoreToTheServerWhereThereAreSeveral) {
  EXPECT_EQ(DefaultWorkers(/*cpus=*/1, /*threads=*/1), 1);
  EXPECT_EQ(DefaultWorkers(2, 1), 1);
  EXPECT_EQ(DefaultWorkers(8, 1), 7);
  EXPECT_EQ(DefaultWorkers(8, 3), 2);
  EXPECT_EQ(DefaultWorkers(2, 4), 1);
  EXPECT_FALSE(AllowedCpus().empty());
}

TEST(FindSibling, LooksBesideTheProgram) {
  EXPECT_TRUE(absl::IsNotFound(FindSibling("no-such-program").status()));
}

}  // namespace
}  // namespace lathe
