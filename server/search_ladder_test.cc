// Searches that look at plans first, through the API.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/finalists.h"
#include "proto/fidelity.h"
#include "server/agent_driver.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using Search = ServerTest;

// Looks where the lease wants a look, and tells a little more divergence than
// there is.
void LookOrMeasureToEnd(ScriptedWorker& worker, int64_t trials) {
  for (int64_t done = 0; done < trials; ++done) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    v1::Outcome outcome = SimulatedOutcome(leases[0]);
    if (leases[0].rivals().predicted_latency_ratio() > 0) {
      v1::Measurement& m = *outcome.mutable_measurement();
      m.set_kl_divergence(1.1 * m.kl_divergence());
      m.mutable_early_stop()->set_samples(64);
    }
    ASSERT_TRUE(worker.Complete(leases[0].fence(), outcome).ok());
  }
}

TEST_F(Search, ALadderLooksAtPlansAndMeasuresWholeWhatIsWorthIt) {
  StartServer();
  // Of so many no doubling of the looks makes room for finalists at the end.
  v1::JobSpec spec = Spec(/*trials=*/50, "rl");
  spec.set_fidelity("ladder");
  const std::string job = CreateJob(spec);
  ScriptedWorker worker = NewWorker();
  LookOrMeasureToEnd(worker, 50);
  EXPECT_TRUE(Eventually([&] { return GetJob(job).state() == v1::DONE; }));
  EXPECT_EQ(GetJob(job).counts().measured(), 50);
  std::set<std::string> looked;
  std::set<std::string> measured;
  std::vector<v1::Trial> wholes;
  for (const v1::Trial& trial : Trials(job)) {
    EXPECT_GT(trial.learn_sequence(), 0) << trial.name();
    if (trial.number() == 0) continue;
    if (trial.measurement().has_early_stop()) {
      EXPECT_TRUE(looked.insert(trial.plan_digest()).second);
      continue;
    }
    // Nobody else proposes: each was looked at before, and is measured once.
    EXPECT_TRUE(IsSecondMeasurement(trial)) << trial.proposal().source();
    EXPECT_EQ(looked.count(trial.plan_digest()), 1u);
    EXPECT_TRUE(measured.insert(trial.plan_digest()).second);
    wholes.push_back(trial);
  }
  EXPECT_GE(looked.size(), 20u);
  ASSERT_GE(wholes.size(), 4u);
  // One early on, for those who stop the search.
  EXPECT_LT(wholes[0].number(), 10);
  // The last trials are the finalists of all looks, and none is left.
  EXPECT_EQ(wholes.back().number(), 49);
  const v1::Job done = GetJob(job);
  const auto finalists =
      Finalists::Make(done.baseline().space(), done.baseline().latency_table(),
                      GetTrial(job, 0).measurement(), {"latency"});
  ASSERT_TRUE(finalists.ok()) << finalists.status();
  for (const v1::Trial& trial : Trials(job)) (*finalists)->Add(trial);
  EXPECT_THAT((*finalists)->Choose(), ::testing::IsEmpty());
}

TEST_F(Search, ALaddersReplayProposesAsBefore) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/30, "rl");
  spec.set_fidelity("ladder");
  const std::string through = CreateJob(spec);
  ScriptedWorker worker = NewWorker();
  LookOrMeasureToEnd(worker, 30);
  EXPECT_TRUE(Eventually([&] { return GetJob(through).state() == v1::DONE; }));
  AgentContext context =
      MakeAgentContext(GetJob(through), GetTrial(through, 0));
  absl::StatusOr<std::unique_ptr<Agent>> agent = MakeAgent("rl", context);
  ASSERT_TRUE(agent.ok()) << agent.status();
  AgentDriver driver(*std::move(agent), context.space);
  EXPECT_EQ(driver.Replay(Trials(through)), 0);
}

}  // namespace
}  // namespace lathe::testing
