#include "base/file.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace lathe {
namespace {

std::string FreshFolder() {
  std::string folder = testing::TempDir() + "/lathe_file_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(File, ReadsBackWhatWasWritten) {
  const std::string path = FreshFolder() + "/a";
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE(WriteFileAtomically(path, bytes).ok());
  ASSERT_TRUE(WriteFileAtomically(path, bytes).ok());
  EXPECT_EQ(ReadFile(path).value(), bytes);
}

TEST(File, LeavesNothingBesideTheFile) {
  const std::string folder = FreshFolder();
  ASSERT_TRUE(WriteFileAtomically(folder + "/a", "x").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder),
                          std::filesystem::directory_iterator()),
            1);
}

TEST(File, NamesTheMissingFile) {
  const absl::Status status = ReadFile("/nonexistent/model.onnx").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("/nonexistent/model.onnx"),
            std::string::npos);
}

TEST(File, RefusesToReadAFolder) {
  EXPECT_EQ(ReadFile("/").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(File, RefusesToWriteIntoAMissingFolder) {
  EXPECT_EQ(WriteFileAtomically("/nonexistent/x", "x").code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lathe
