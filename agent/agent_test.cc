#include "agent/agent.h"

#include <algorithm>

#include "absl/strings/str_replace.h"
#include "agent/testing/agent_suite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

INSTANTIATE_TEST_SUITE_P(All, AgentSuite, ::testing::ValuesIn(AgentNames()),
                         [](const ::testing::TestParamInfo<std::string>& info) {
                           return absl::StrReplaceAll(info.param, {{"-", "_"}});
                         });

TEST(MakeAgent, NamesTheAgentsThereAreWhenAskedForAnother) {
  const absl::Status status = MakeAgent("magic", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const std::string& name : AgentNames()) {
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(name));
  }
}

TEST(MakeAgent, NamesAreSorted) {
  const std::vector<std::string> names = AgentNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

}  // namespace
}  // namespace lathe
