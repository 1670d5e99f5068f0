// Whether the learning strategies find better frontiers than those that do
// not learn, on networks given as formulas.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/frontier.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Hypervolume of what `agent` finds in `trials` trials.
double Search(const std::string& agent_name, const SyntheticNetwork& network,
              uint64_t seed, int64_t trials) {
  const AgentContext context = network.Context(seed, trials);
  std::unique_ptr<Agent> agent = *MakeAgent(agent_name, context);
  std::vector<v1::Trial> done;
  for (int64_t number = 1; number < trials; ++number) {
    absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    if (!proposal.ok()) break;
    done.push_back(network.Run(*proposal, number));
    agent->Learn(done.back());
  }
  return Hypervolume(done, context.baseline);
}

// Of each of `seeds` seeds, on as many networks.
std::vector<double> SearchAll(const std::string& agent, int seeds,
                              int64_t trials) {
  std::vector<double> found;
  for (int seed = 0; seed < seeds; ++seed) {
    SyntheticOptions options;
    options.variant = seed;
    found.push_back(Search(agent, SyntheticNetwork(options), seed, trials));
  }
  return found;
}

constexpr int kSeeds = 2;
constexpr int64_t kTrials = 150;

TEST(Learning, RlFindsBetterFrontiersThanRandomAndUniformOnEveryNetwork) {
  const std::vector<double> rl = SearchAll("rl", kSeeds, kTrials);
  const std::vector<double> random = SearchAll("random", kSeeds, kTrials);
  const std::vector<double> uniform = SearchAll("uniform", kSeeds, kTrials);
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EXPECT_GT(rl[seed], random[seed] + 0.2);
    EXPECT_GT(rl[seed], uniform[seed] + 0.03);
  }
}

// Whatever is slower than a plan that answers as the original does gains
// nothing but decimals of a divergence, which is less than what latencies
// scatter by.
TEST(Learning, RlSpendsFewTrialsWhereNothingIsLeftToGain) {
  SyntheticOptions options;
  options.layers = 8;
  options.keep_levels = 3;
  const SyntheticNetwork network(options);
  constexpr int64_t kAll = 300;
  std::unique_ptr<Agent> agent =
      *MakeAgent("rl", network.Context(/*seed=*/1, kAll));
  double fastest = 1;  // Of those that answer as the original does.
  int wasted = 0;
  for (int64_t number = 1; number < kAll; ++number) {
    v1::Trial trial = network.Run(*agent->Propose(), number);
    v1::Measurement& m = *trial.mutable_measurement();
    m.set_latency_ratio(m.latency_ratio() * (1 + 0.03 * std::sin(number)));
    if (m.kl_divergence() < 0.005) {
      wasted += number > kAll / 2 && m.latency_ratio() > 1.1 * fastest;
      fastest = std::min(fastest, m.latency_ratio());
    }
    agent->Learn(trial);
  }
  EXPECT_LT(wasted, kAll / 12);
}

TEST(Learning, GreedyFindsBetterFrontiersThanRandomAndUniform) {
  const std::vector<double> greedy = SearchAll("greedy", kSeeds, kTrials);
  const std::vector<double> random = SearchAll("random", kSeeds, kTrials);
  const std::vector<double> uniform = SearchAll("uniform", kSeeds, kTrials);
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EXPECT_GT(greedy[seed], random[seed] + 0.2);
    EXPECT_GT(greedy[seed], uniform[seed] + 0.03);
  }
}

// The most accurate plan measured within a budget of 0.25.
double BestWithinBudget(const std::string& agent_name, uint64_t seed) {
  SyntheticOptions options;
  options.variant = seed;
  const SyntheticNetwork network(options);
  AgentContext context = network.Context(seed, 100);
  context.budget.set_max_latency_ratio(0.25);
  std::unique_ptr<Agent> agent = *MakeAgent(agent_name, context);
  double best = 0;
  for (int64_t number = 1; number < context.trials; ++number) {
    absl::StatusOr<v1::Proposal> proposal = agent->Propose();
    if (!proposal.ok()) break;
    const v1::Trial trial = network.Run(*proposal, number);
    if (trial.measurement().latency_ratio() <= 0.25) {
      best = std::max(best, trial.measurement().accuracy());
    }
    agent->Learn(trial);
  }
  return best;
}

TEST(Learning, RlIsMoreAccurateWithinABudgetThanTheSimpleStrategies) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    const double rl = BestWithinBudget("rl", seed);
    EXPECT_GT(rl, BestWithinBudget("random", seed)) << "seed " << seed;
    EXPECT_GT(rl, BestWithinBudget("uniform", seed)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace lathe
