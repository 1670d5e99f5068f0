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

// The plans that `rl` proposes behind twenty others, which are pending or
// were dismissed.
std::vector<std::string> PlansBehind(bool are_dismissed) {
  SyntheticOptions options;
  options.layers = 6;
  const SyntheticNetwork network(options);
  const std::unique_ptr<Agent> agent =
      MakeAgent("rl", network.Context(/*seed=*/3, /*trials=*/40)).value();
  for (int64_t number = 1; number <= 20; ++number) {
    v1::Trial trial;
    *trial.mutable_proposal() = agent->Propose().value();
    trial.set_state(v1::TRIAL_QUARANTINED);
    if (are_dismissed) agent->Dismiss(trial);
  }
  std::vector<std::string> plans;
  for (int i = 0; i < 10; ++i) {
    plans.push_back(PlanDigest(agent->Propose().value().plan()));
  }
  return plans;
}

TEST(RlAgent, SearchesAgainWhereADismissedPlanWasToBring) {
  EXPECT_NE(PlansBehind(/*are_dismissed=*/true),
            PlansBehind(/*are_dismissed=*/false));
}

TEST(MakeAgent, NamesAreSorted) {
  const std::vector<std::string> names = AgentNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

}  // namespace
}  // namespace lathe
