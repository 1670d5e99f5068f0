#include "agent/elite_children.h"

#include <cmath>
#include <vector>

namespace lathe {

Choices EliteChild(const SearchCore& core, const Archive& archive,
                   Random* random) {
  constexpr double kCrossed = 0.5;
  constexpr double kMore[] = {0.6, 0.3};
  const std::vector<int>& elites = archive.elites();
  const auto draw = [&]() -> const Choices& {
    const int i = elites[random->Below(static_cast<int>(elites.size()))];
    return archive.rows()[i].choices;
  };
  Choices child = draw();
  if (random->Uniform() < kCrossed) {
    const Choices& other = draw();
    for (size_t d = 0; d < child.size(); ++d) {
      if (random->Uniform() < 0.5) child[d] = other[d];
    }
  }
  const auto mutate = [&] {
    const int d = random->Below(core.space().size());
    child[d] = random->Below(core.space().decisions()[d].count);
  };
  mutate();
  for (const double share : kMore) {
    if (random->Uniform() < share) mutate();
  }
  return child;
}

const Evaluated& EliteNear(const Archive& archive, const EpisodeBudget& budget,
                           Random* random) {
  constexpr double kNear = 0.05;
  std::vector<double> weights;
  for (const int i : archive.elites()) {
    const Evaluated& row = archive.rows()[i];
    double distance = 0;
    if (std::isfinite(budget.latency_ratio)) {
      distance += std::abs(row.latency_ratio - budget.latency_ratio);
    }
    if (std::isfinite(budget.size_ratio)) {
      distance += std::abs(row.size_ratio - budget.size_ratio);
    }
    weights.push_back(1 / (kNear + distance));
  }
  return archive.rows()[archive.elites()[random->Weighted(weights)]];
}

}  // namespace lathe
