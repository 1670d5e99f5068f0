// `lathe search` as a user runs it: real server, real workers, real network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "client/cli/child_process.h"
#include "client/json_text.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

absl::Time Patience() { return absl::Now() + absl::Minutes(3); }

class SearchSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("LATHE_DATA_DIR");
    data_ = folder != nullptr ? folder : LATHE_SOURCE_DIR "/../shared/data";
    if (!FileExists(data_ + "/cifar10/resnet8.onnx")) {
      GTEST_SKIP() << data_ << "/cifar10 is missing (set LATHE_DATA_DIR)";
    }
    folder_ = absl::StrCat(
        ::testing::TempDir(), "/search_system_test.", getpid(), ".",
        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    ASSERT_TRUE(MakeFolders(folder_).ok());
    setenv("LATHE_TEST_MARK", folder_.c_str(), /*overwrite=*/1);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  std::string Log() const { return folder_ + "/log"; }
  std::string State() const { return folder_ + "/state"; }

  std::unique_ptr<ChildProcess> StartSearch(
      const std::vector<std::string>& more) {
    const std::string cifar10 = data_ + "/cifar10";
    std::vector<std::string> arguments = {
        std::string(LATHE_BIN_DIR) + "/lathe", "search", "--model",
        cifar10 + "/resnet8.onnx", "--data",
        absl::StrCat(cifar10, "/test_x.npy,", cifar10, "/test_y.npy"),
        // Few samples: the test is of the programs, not of the network.
        "--calibration", "64", "--search", "200", "--confirmation", "50",
        "--report", "200", "--agent", "uniform", "--workers", "1", "--state",
        State(), "--out", folder_ + "/out", "-o", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto child = ChildProcess::Start(arguments, Log());
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }

  // Runs a search to its end; its JSON, or null, goes to `result`.
  std::string RunSearch(const std::vector<std::string>& more,
                        nlohmann::json& result) {
    const auto search = StartSearch(more);
    const absl::StatusOr<std::string> line = search->ReadLine(Patience());
    result = line.ok() ? *ParseJson(*line) : nlohmann::json();
    search->AwaitEnd(Patience());
    return *search->Ended();
  }

  // The processes that came from this test: all inherit its mark.
  std::vector<std::string> Survivors() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const absl::StatusOr<std::string> line =
          ReadFile(entry.path().string() + "/cmdline");
      const absl::StatusOr<std::string> environment =
          ReadFile(entry.path().string() + "/environ");
      if (line.ok() && environment.ok() &&
          absl::StrContains(*environment, "LATHE_TEST_MARK=" + folder_)) {
        found.push_back(*line);
      }
    }
    return found;
  }

  // Waits until the log of `search` shows that a trial is done.
  void AwaitSomeProgress() {
    const absl::Time deadline = Patience();
    while (absl::Now() < deadline) {
      const absl::StatusOr<std::string> log = ReadFile(Log());
      if (log.ok() && absl::StrContains(*log, "/s")) return;
      absl::SleepFor(absl::Milliseconds(20));
    }
    FAIL() << "no trial was done: " << *ReadFile(Log());
  }

  std::string data_;
  std::string folder_;
};

TEST_F(SearchSystemTest, LeavesItsResultsAndRepeatsThemFromItsState) {
  nlohmann::json first;
  ASSERT_EQ(RunSearch({"--trials", "6"}, first), "exit code 0")
      << *ReadFile(Log());
  EXPECT_EQ(first["trials"], 6);
  EXPECT_EQ(first["baseline"]["trial"], 0);
  EXPECT_FALSE(first["frontier"].empty());
  EXPECT_TRUE(first["hypervolume"].is_number());
  for (const char* file : {"frontier.json", "report.html", "best.onnx"}) {
    EXPECT_TRUE(FileExists(absl::StrCat(folder_, "/out/", file))) << file;
  }
  // What is handed over is what was measured.
  EXPECT_EQ(static_cast<int64_t>(ReadFile(folder_ + "/out/best.onnx")->size()),
            first["best"]["size_bytes"].get<int64_t>());
  EXPECT_THAT(Survivors(), ::testing::IsEmpty());

  nlohmann::json second;
  ASSERT_EQ(RunSearch({"--trials", "6"}, second), "exit code 0");
  EXPECT_EQ(second["job"], first["job"]);
  EXPECT_EQ(second["frontier"], first["frontier"]);

  nlohmann::json other;
  EXPECT_EQ(RunSearch({"--trials", "7"}, other), "exit code 2");
  EXPECT_THAT(*ReadFile(Log()), HasSubstr("trials: 6 -> 7"));
}

TEST_F(SearchSystemTest, InterruptedItEndsCleanlyAndGoesOnLater) {
  const auto search = StartSearch({"--trials", "12"});
  AwaitSomeProgress();
  kill(search->pid(), SIGINT);
  search->AwaitEnd(Patience());
  EXPECT_EQ(search->Ended(), "exit code 130");
  EXPECT_THAT(*ReadFile(Log()), HasSubstr("--state " + State()));
  EXPECT_THAT(Survivors(), ::testing::IsEmpty());

  nlohmann::json result;
  ASSERT_EQ(RunSearch({"--trials", "12"}, result), "exit code 0");
  EXPECT_EQ(result["job"], "jobs/1");
  EXPECT_EQ(result["trials"], 12);
}

TEST_F(SearchSystemTest, NothingOutlivesItWhenItIsKilled) {
  const auto search = StartSearch({"--trials", "100"});
  AwaitSomeProgress();
  // The program, the server, the worker and its evaluator.
  EXPECT_GE(Survivors().size(), 4u);
  kill(search->pid(), SIGKILL);
  search->AwaitEnd(Patience());
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!Survivors().empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(Survivors(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace lathe
