#include "client/worker/work_folder.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/file.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class WorkFolderTest : public testing::Test {
 protected:
  WorkFolderTest() : parent_(testing::TempDir() + "/lathe_work_folder_test") {
    std::filesystem::remove_all(parent_);
  }
  ~WorkFolderTest() override { std::filesystem::remove_all(parent_); }

  int CountEntries() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(parent_)) {
      (void)entry;
      ++count;
    }
    return count;
  }

  const std::string parent_;
};

TEST_F(WorkFolderTest, GoesWithItsOwner) {
  auto folder = WorkFolder::Make(parent_).value();
  std::ofstream(folder->path() + "/artifact") << "bytes";
  EXPECT_EQ(CountEntries(), 1);
  folder.reset();
  EXPECT_EQ(CountEntries(), 0);
}

TEST_F(WorkFolderTest, OfADeadProcessIsRemovedAndOfALivingOneNot) {
  const auto living = WorkFolder::Make(parent_).value();
  std::filesystem::create_directories(parent_ + "/work-host-12345");
  std::ofstream(parent_ + "/work-host-12345/artifact") << "bytes";
  std::filesystem::create_directories(parent_ + "/blobs");
  const auto next = WorkFolder::Make(parent_).value();
  EXPECT_NE(next->path(), living->path());
  EXPECT_TRUE(FileExists(living->path()));
  EXPECT_FALSE(FileExists(parent_ + "/work-host-12345"));
  EXPECT_TRUE(FileExists(parent_ + "/blobs"));
}

}  // namespace
}  // namespace lathe
