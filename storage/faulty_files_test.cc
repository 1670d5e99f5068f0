// Failed writes, full disks, refused syncs and power cuts at every point of a
// store's life in turn: nothing that was answered is lost, and what is left
// opens and agrees with itself.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/testing/faulty_vfs.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

constexpr char kProgram[] = LATHE_BIN_DIR "/../tests/lathe-faulty-writer";

struct WriterRun {
  int exit_status = 0;
  std::set<std::string> jobs;
  std::set<int64_t> granted;
  std::set<int64_t> completed;
  int64_t operations = 0;
};

WriterRun RunWriter(const std::string& folder, const std::string& kind,
                    int64_t point) {
  FILE* const told = popen(
      absl::StrCat(kProgram, " ", folder, " ", kind, " ", point, " 1").c_str(),
      "r");
  WriterRun run;
  char what[16], which[64];
  while (std::fscanf(told, "%15s %63s\n", what, which) == 2) {
    const std::string kind_of_line = what;
    if (kind_of_line == "job") run.jobs.insert(which);
    if (kind_of_line == "granted") run.granted.insert(std::atoll(which));
    if (kind_of_line == "completed") run.completed.insert(std::atoll(which));
    if (kind_of_line == "operations") run.operations = std::atoll(which);
  }
  run.exit_status = WEXITSTATUS(pclose(told));
  return run;
}

// What was answered is there, and nothing contradicts itself.
void CheckAfter(const std::string& folder, const WriterRun& run) {
  storage::RestoreSynced(folder + "/lathe.db");
  auto store = OpenStore({folder});
  ASSERT_TRUE(store.ok()) << store.status();
  for (const std::string& job : run.jobs) {
    EXPECT_TRUE((*store)->GetJob(job).ok()) << job;
  }
  for (const int64_t fence : run.granted) {
    EXPECT_TRUE((*store)->GetAttempt(fence).ok()) << fence;
  }
  for (const int64_t fence : run.completed) {
    const auto attempt = (*store)->GetAttempt(fence);
    ASSERT_TRUE(attempt.ok()) << attempt.status();
    const auto trial = (*store)->GetTrial(attempt->trial_name);
    ASSERT_TRUE(trial.ok()) << trial.status();
    EXPECT_EQ(trial->state(), v1::TRIAL_MEASURED);
    EXPECT_FALSE((*store)->CompleteAttempt(Measured(fence), {})->is_new);
  }
  const auto report = (*store)->CheckIntegrity();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->problems.empty())
      << absl::StrJoin(report->problems, "\n");
}

// In memory where that is possible: what the disk itself would do is what the
// files of the test do.
std::string FastFolder() {
  std::string pattern = "/dev/shm/lathe-faulty-XXXXXX";
  const char* const made = mkdtemp(pattern.data());
  return made != nullptr ? made : FreshFolder();
}

class FaultyFiles : public ::testing::TestWithParam<std::string> {};

TEST_P(FaultyFiles, LoseNothingAnsweredAtAnyPoint) {
  const std::string folder = FastFolder();
  const WriterRun whole = RunWriter(folder, "none", 0);
  ASSERT_EQ(whole.exit_status, 0);
  ASSERT_GT(whole.operations, 20);
  std::set<int> exit_statuses;
  for (int64_t point = 1; point <= whole.operations; ++point) {
    SCOPED_TRACE(absl::StrCat(GetParam(), " at ", point));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    const WriterRun run = RunWriter(folder, GetParam(), point);
    exit_statuses.insert(run.exit_status);
    CheckAfter(folder, run);
    if (HasFailure()) return;
  }
  std::filesystem::remove_all(folder);
  std::set<int> expected = {0, 3};
  if (GetParam() == "cut") expected = {0, 9};
  if (GetParam() == "sync") expected = {0, 3, 74};
  for (const int status : exit_statuses) {
    EXPECT_EQ(expected.count(status), 1u) << "exit status " << status;
  }
  // The fault did happen.
  EXPECT_GT(exit_statuses.count(*expected.rbegin()), 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultyFiles,
                         ::testing::Values("cut", "write", "full", "sync"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lathe
