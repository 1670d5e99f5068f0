// Whether the default agent finds more than chance and than NSGA-II do, on
// spaces of which every configuration was measured, over 20 seeds.
#include <algorithm>
#include <string>
#include <vector>

#include "experiments/tables/table.h"
#include "experiments/tables/table_game.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr int kSeeds = 20;
constexpr int64_t kEvaluations = 100;

// Share of the exhaustive hypervolume, by seed.
std::vector<double> Play(const ConfigurationTable& table,
                         const std::string& agent) {
  GameOptions options;
  options.agent = agent;
  options.evaluations = kEvaluations;
  options.checkpoints = {kEvaluations};
  std::vector<double> reached;
  for (int seed = 0; seed < kSeeds; ++seed) {
    options.seed = seed;
    const auto result = PlayOnTable(table, options);
    EXPECT_TRUE(result.ok()) << result.status();
    reached.push_back(result->hypervolume_ratios.back());
  }
  std::sort(reached.begin(), reached.end());
  return reached;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

class TableLearning : public ::testing::TestWithParam<std::string> {};

TEST_P(TableLearning, RlIsAboveRandomAndNsga2ByAMargin) {
  const auto table = ReadTable(std::string(LATHE_SOURCE_DIR) +
                               "/experiments/compression_bench/" + GetParam());
  ASSERT_TRUE(table.ok()) << table.status();
  const std::vector<double> rl = Play(*table, "rl");
  for (const char* other : {"random", "nsga2"}) {
    SCOPED_TRACE(other);
    const std::vector<double> reached = Play(*table, other);
    EXPECT_GT(Mean(rl), Mean(reached) + 0.02);
    // Nearly all of its seeds are above the other's middle one.
    EXPECT_GT(rl[1], reached[kSeeds / 2]);
  }
}

// x2 lacks some of the pairs of bits and keep ratios that its decisions list.
INSTANTIATE_TEST_SUITE_P(Spaces, TableLearning,
                         ::testing::Values("x1.npz", "x2.npz"));

}  // namespace
}  // namespace lathe
