#include "server/agent_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/plan.h"
#include "server/testing/simulated_network.h"

namespace lathe {
namespace {

// Logs its calls; proposes, as its n-th plan, one that tells n and how much it
// had learned.
class LoggingAgent : public Agent {
 public:
  explicit LoggingAgent(std::vector<std::string>* log) : log_(*log) {}

  absl::StatusOr<v1::Proposal> Propose() override {
    log_.push_back("propose");
    v1::Proposal proposal;
    v1::LayerChoice& choice = *proposal.mutable_plan()->add_layers();
    choice.set_weight_bits(++proposed_);
    choice.set_keep_ratio(learned_);
    proposal.set_source("logging");
    return proposal;
  }
  void Learn(const v1::Trial& trial) override {
    log_.push_back(absl::StrCat("learn ", trial.number()));
    ++learned_;
    last = trial;
  }
  void Dismiss(const v1::Trial& trial) override {
    log_.push_back(absl::StrCat("dismiss ", trial.number()));
  }
  v1::Reward Evaluate(const v1::Trial&) const override {
    v1::Reward reward;
    reward.set_value(learned_);
    return reward;
  }
  bool Restore(absl::string_view state) override {
    proposed_ = state[0] - '0';
    learned_ = state[1] - '0';
    return true;
  }

  v1::Trial last;

 private:
  std::vector<std::string>& log_;
  int proposed_ = 0;
  int learned_ = 0;
};

v1::Trial Ended(int64_t number, const v1::Proposal& proposal) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  *trial.mutable_proposal() = proposal;
  trial.set_plan_digest(PlanDigest(proposal.plan()));
  trial.mutable_measurement()->set_accuracy(0.5);
  trial.mutable_measurement()->set_report_accuracy(0.4);
  trial.mutable_measurement()->set_report_correct(4);
  trial.mutable_measurement()->set_report_samples(10);
  trial.mutable_measurement()->set_confirmation_correct(4);
  trial.mutable_measurement()->set_confirmation_samples(8);
  trial.mutable_measurement()->set_confirmation_bits("\x0f");
  return trial;
}

// A search whose results come back out of order: its stored trials, and the
// calls made.
struct Search {
  std::vector<v1::Trial> trials;
  std::vector<std::string> log;
};

Search RunSearch() {
  Search search;
  AgentDriver driver(std::make_unique<LoggingAgent>(&search.log),
                     testing::SimulatedSpace());
  v1::Proposal baseline;
  baseline.set_source(kBaselineSource);
  search.trials.push_back(Ended(0, baseline));
  const auto propose = [&] {
    search.trials.push_back(Ended(search.trials.size(), *driver.Propose()));
  };
  const auto learn = [&](int number) {
    driver.Learn(search.trials[number]);
    search.trials[number].set_learn_sequence(driver.learned());
  };
  learn(0);
  propose();
  propose();
  learn(2);
  propose();
  v1::Proposal users;
  users.mutable_plan()->add_layers()->set_weight_bits(77);
  users.set_source(kUserSource);
  search.trials.push_back(Ended(4, users));
  learn(4);
  learn(1);
  search.trials[3].set_state(v1::TRIAL_QUARANTINED);
  learn(3);
  propose();
  return search;
}

TEST(AgentDriver, ReplayMakesTheSameCallsInTheSameOrder) {
  const Search search = RunSearch();
  std::vector<std::string> log;
  AgentDriver driver(std::make_unique<LoggingAgent>(&log),
                     testing::SimulatedSpace());
  EXPECT_EQ(driver.Replay(search.trials), 0);
  EXPECT_EQ(log, search.log);
  EXPECT_EQ(driver.learned(), 5);
  EXPECT_THAT(log, ::testing::Contains("dismiss 3"));
}

TEST(AgentDriver, ReplayGoesOnWhereASnapshotEnds) {
  const Search search = RunSearch();
  std::vector<std::string> log;
  AgentDriver driver(std::make_unique<LoggingAgent>(&log),
                     testing::SimulatedSpace());
  v1::AgentSnapshot snapshot;
  snapshot.set_proposals(2);
  snapshot.set_learned(2);
  // As LoggingAgent reads it: what it had proposed and learned.
  snapshot.set_state("22");
  ASSERT_TRUE(driver.Restore(snapshot));
  EXPECT_EQ(driver.Replay(search.trials), 0);
  // All but the first four calls: learn 0, twice propose, learn 2.
  EXPECT_EQ(log,
            std::vector<std::string>(search.log.begin() + 4, search.log.end()));
  EXPECT_EQ(driver.learned(), 5);
  EXPECT_EQ(driver.Save().proposals(), 4);
}

TEST(AgentDriver, ReplayCountsStoredPlansThatTheAgentWouldNotPropose) {
  Search search = RunSearch();
  search.trials[2].set_plan_digest("another");
  search.trials[5].set_plan_digest("another");
  std::vector<std::string> log;
  AgentDriver driver(std::make_unique<LoggingAgent>(&log),
                     testing::SimulatedSpace());
  EXPECT_EQ(driver.Replay(search.trials), 2);
  EXPECT_EQ(log, search.log);
}

TEST(AgentDriver, TheAgentSeesNoReportSplitAndTheBaselinesPlan) {
  std::vector<std::string> log;
  auto agent = std::make_unique<LoggingAgent>(&log);
  LoggingAgent* seen = agent.get();
  AgentDriver driver(std::move(agent), testing::SimulatedSpace());
  driver.Learn(Ended(0, v1::Proposal()));
  EXPECT_EQ(seen->last.measurement().accuracy(), 0.5);
  EXPECT_EQ(seen->last.measurement().report_accuracy(), 0);
  EXPECT_EQ(seen->last.measurement().report_correct(), 0);
  EXPECT_EQ(seen->last.measurement().report_samples(), 0);
  EXPECT_EQ(PlanDigest(seen->last.proposal().plan()),
            PlanDigest(BaselinePlan(testing::SimulatedSpace())));
}

TEST(AgentDriver, TheContextHasNoReportSplit) {
  v1::Job job;
  job.mutable_spec()->set_seed(9);
  job.mutable_spec()->add_objectives("size");
  const AgentContext context = MakeAgentContext(job, Ended(0, v1::Proposal()));
  EXPECT_EQ(context.baseline.accuracy(), 0.5);
  EXPECT_EQ(context.baseline.report_accuracy(), 0);
  EXPECT_EQ(context.baseline.report_samples(), 0);
  EXPECT_EQ(context.seed, 9u);
  EXPECT_THAT(context.objectives, ::testing::ElementsAre("size"));
}

}  // namespace
}  // namespace lathe
