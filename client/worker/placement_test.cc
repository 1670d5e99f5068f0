#include "client/worker/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace lathe {
namespace {

using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

absl::StatusOr<Placement> Read(const Variables& variables) {
  return ReadPlacement([&variables](const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
}

TEST(Placement, IsNothingWithoutAScheduler) {
  const absl::StatusOr<Placement> placement = Read({});
  ASSERT_TRUE(placement.ok());
  EXPECT_FALSE(placement->is_scheduled());
  EXPECT_FALSE(placement->end.has_value());
}

TEST(Placement, NamesTheTaskOfASlurmArray) {
  const absl::StatusOr<Placement> placement =
      Read({{"SLURM_JOB_ID", "9"},
            {"SLURM_ARRAY_JOB_ID", "7"},
            {"SLURM_ARRAY_TASK_ID", "3"},
            {"SLURM_JOB_END_TIME", "1000"}});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->name, "slurm:7_3");
  EXPECT_EQ(placement->end, absl::FromUnixSeconds(1000));
}

TEST(Placement, NamesAPod) {
  EXPECT_EQ(Read({{"LATHE_POD", "pool-5"}})->name, "kubernetes:pool-5");
}

TEST(Placement, ThePoolScriptsEndCountsMoreThanSlurms) {
  const absl::StatusOr<Placement> placement =
      Read({{"SLURM_JOB_ID", "9"},
            {"LATHE_END_TIME", "5"},
            {"SLURM_JOB_END_TIME", "7"}});
  EXPECT_EQ(placement->end, absl::FromUnixSeconds(5));
}

TEST(Placement, AnEmptyEndIsNone) {
  EXPECT_FALSE(Read({{"LATHE_END_TIME", ""}})->end.has_value());
}

TEST(Placement, RefusesAnEndThatIsNoTime) {
  for (const std::string text : {"soon", "-5", "0", "1e9", "12 13"}) {
    const absl::Status status = Read({{"LATHE_END_TIME", text}}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

TEST(Placement, CutsAnOverlongName) {
  EXPECT_EQ(Read({{"LATHE_POD", std::string(1000, 'x')}})->name.size(), 200u);
}

}  // namespace
}  // namespace lathe
