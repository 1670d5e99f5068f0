#include "base/cgroup.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace lathe {
namespace {

class Cgroup : public testing::Test {
 protected:
  Cgroup() : root_(testing::TempDir() + "/lathe_cgroup_test") {
    std::filesystem::remove_all(root_);
  }
  ~Cgroup() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = root_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  const std::string root_;
};

TEST_F(Cgroup, TheLeastLimitOfAGroupAndItsParentsBinds) {
  Write("memory.max", "max\n");
  Write("jobs/memory.max", "3000\n");
  Write("jobs/one/memory.max", "5000\n");
  Write("others/memory.max", "10\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "0::/jobs/one\n"), 3000);
  Write("jobs/one/memory.max", "1000\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "0::/jobs/one\n"), 1000);
}

TEST_F(Cgroup, VersionOneCountsMemoryInAHierarchyOfItsOwn) {
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory/slurm/job_7/memory.limit_in_bytes", "2147483648\n");
  const std::string membership =
      "11:cpuset:/slurm/job_7\n9:hugetlb,memory:/slurm/job_7\n0::/\n";
  EXPECT_EQ(CgroupMemoryBytes(root_, membership), int64_t{1} << 31);
}

TEST_F(Cgroup, InsideAContainerTheRootHasTheLimit) {
  Write("memory/memory.limit_in_bytes", "4096\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "4:memory:/docker/0123abcd\n"), 4096);
  Write("memory.max", "1024\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "0::/\n"), 1024);
}

TEST_F(Cgroup, NoLimitIsNone) {
  EXPECT_FALSE(CgroupMemoryBytes(root_, "").has_value());
  EXPECT_FALSE(CgroupMemoryBytes(root_, "0::/a\nnonsense\n").has_value());
  Write("a/memory.max", "max\n");
  EXPECT_FALSE(CgroupMemoryBytes(root_, "0::/a\n").has_value());
}

}  // namespace
}  // namespace lathe
