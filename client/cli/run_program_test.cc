#include "client/cli/run_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(RunProgram, GivesInputOutputErrorsAndExitCode) {
  const absl::StatusOr<ProgramResult> result = RunProgram(
      {"sh", "-c", "tr a-z A-Z; echo to-stderr >&2; exit 3"}, "some input");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "SOME INPUT");
  EXPECT_EQ(result->errors, "to-stderr\n");
}

TEST(RunProgram, TakesMoreThanAPipeHolds) {
  const std::string input(1 << 20, 'x');
  const absl::StatusOr<ProgramResult> result = RunProgram({"cat"}, input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, input);
}

TEST(RunProgram, CountsASignalAsShellsDo) {
  EXPECT_EQ(RunProgram({"sh", "-c", "kill -9 $$"})->exit_code, 137);
}

TEST(RunProgram, SaysWhichProgramIsMissing) {
  const absl::Status status = RunProgram({"no-such-program-here"}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-program-here"));
}

}  // namespace
}  // namespace lathe
