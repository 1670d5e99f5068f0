#include "agent/min_sum.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "agent/random.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

struct Problem {
  std::vector<int> domains;
  std::vector<CostTable> tables;
};

Problem RandomProblem(uint64_t seed) {
  Random random(seed);
  Problem problem;
  const int variables = 2 + random.Below(4);
  for (int v = 0; v < variables; ++v) {
    problem.domains.push_back(1 + random.Below(3));
  }
  for (int t = 0; t < variables + 2; ++t) {
    std::set<int> scope;
    for (int i = random.Below(4); i > 0; --i) {
      scope.insert(random.Below(variables));
    }
    CostTable table;
    table.variables.assign(scope.begin(), scope.end());
    size_t entries = 1;
    for (const int v : scope) entries *= problem.domains[v];
    for (size_t e = 0; e < entries; ++e) {
      table.values.push_back(random.Uniform());
    }
    problem.tables.push_back(table);
  }
  return problem;
}

double Sum(const Problem& problem, const std::vector<int>& values) {
  double sum = 0;
  for (const CostTable& table : problem.tables) {
    size_t index = 0;
    for (const int v : table.variables) {
      index = index * problem.domains[v] + values[v];
    }
    sum += table.values[index];
  }
  return sum;
}

// Tries everything.
double SlowLeast(const Problem& problem, std::vector<int> prefix) {
  const size_t v = prefix.size();
  if (v == problem.domains.size()) return Sum(problem, prefix);
  double least = std::numeric_limits<double>::infinity();
  prefix.push_back(0);
  for (int x = 0; x < problem.domains[v]; ++x) {
    prefix.back() = x;
    least = std::min(least, SlowLeast(problem, prefix));
  }
  return least;
}

TEST(MinSum, EqualsTryingEverythingForEveryPrefix) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Problem problem = RandomProblem(seed);
    const MinSum least(problem.domains, problem.tables);
    Random random(seed);
    std::vector<int> prefix;
    for (size_t v = 0; v <= problem.domains.size(); ++v) {
      EXPECT_NEAR(least.LeastGiven(prefix), SlowLeast(problem, prefix), 1e-12)
          << "seed " << seed << ", " << v << " fixed";
      if (v < problem.domains.size()) {
        prefix.push_back(random.Below(problem.domains[v]));
      }
    }
  }
}

TEST(MinSum, CompletesToAMinimiser) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Problem problem = RandomProblem(seed);
    const MinSum least(problem.domains, problem.tables);
    EXPECT_NEAR(Sum(problem, least.Complete({})), SlowLeast(problem, {}), 1e-12)
        << "seed " << seed;
  }
}

TEST(MinSum, WithTooLittleRoomGivesHigherBoundsThatCanStillBeKept) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Problem problem = RandomProblem(seed);
    const MinSum least(problem.domains, problem.tables, /*most_entries=*/2);
    const double bound = least.LeastGiven({});
    EXPECT_GE(bound, SlowLeast(problem, {}) - 1e-12) << "seed " << seed;
    EXPECT_LE(Sum(problem, least.Complete({})), bound + 1e-12)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace lathe
