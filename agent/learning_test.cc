// Whether the learning strategies find better frontiers than those that do
// not learn, on networks given as formulas.
#include <algorithm>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/frontier.h"
#include "agent/testing/synthetic_network.h"
#include "base/numeric.h"
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

constexpr int kSeeds = 4;
constexpr int64_t kTrials = 150;

TEST(Learning, RlFindsBetterFrontiersThanRandomAndUniformOnEveryNetwork) {
  const std::vector<double> rl = SearchAll("rl", kSeeds, kTrials);
  const std::vector<double> random = SearchAll("random", kSeeds, kTrials);
  const std::vector<double> uniform = SearchAll("uniform", kSeeds, kTrials);
  const std::vector<double> greedy = SearchAll("greedy", kSeeds, kTrials);
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RecordProperty("seed" + std::to_string(seed),
                   "rl " + std::to_string(rl[seed]) + " random " +
                       std::to_string(random[seed]) + " uniform " +
                       std::to_string(uniform[seed]) + " greedy " +
                       std::to_string(greedy[seed]));
    printf("rl %.4f greedy %.4f uniform %.4f random %.4f\n", rl[seed],
           greedy[seed], uniform[seed], random[seed]);
    EXPECT_GT(rl[seed], random[seed] + 0.05);
    EXPECT_GT(rl[seed], uniform[seed] + 0.02);
  }
}

}  // namespace
}  // namespace lathe
