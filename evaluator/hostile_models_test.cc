// Replays the fuzzer's corpus in the normal build: models that ask for too
// much, contradict themselves, or crashed Lathe once. Each must come to an end,
// with an error or without, in bounded memory.
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "evaluator/testing/exercise_model.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

std::vector<std::string> CorpusFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(LATHE_SOURCE_DIR) + "/evaluator/fuzz/corpus")) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int64_t PeakBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

TEST(HostileModels, AllComeToAnEndInBoundedMemory) {
  const std::vector<std::string> files = CorpusFiles();
  ASSERT_GE(files.size(), 50u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    const auto bytes = ReadFile(file);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const absl::Status status = ExerciseModel(*bytes);
    // A name of the file says what must come of it.
    const std::string name = std::filesystem::path(file).filename().string();
    if (name.rfind("good_", 0) == 0) {
      EXPECT_TRUE(status.ok()) << status;
    } else if (name.rfind("bad_", 0) == 0) {
      EXPECT_FALSE(status.ok());
      EXPECT_FALSE(status.message().empty());
    }
  }
  EXPECT_LT(PeakBytes(), int64_t{1} << 30);
}

}  // namespace
}  // namespace lathe
