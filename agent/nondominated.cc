#include "agent/nondominated.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace lathe {
namespace {

// In the plane: strips from the lowest first cost on.
double Area(std::vector<Costs> points, const Costs& reference) {
  std::sort(points.begin(), points.end());
  double area = 0;
  double ceiling = reference[1];
  for (const Costs& point : points) {
    if (point[1] >= ceiling) continue;
    area += (reference[0] - point[0]) * (ceiling - point[1]);
    ceiling = point[1];
  }
  return area;
}

}  // namespace

Costs CostsOf(const SearchCore& core, const Evaluated& row) {
  const RelativeBudget& budget = core.objective().budget();
  Costs costs = {-row.quality};
  if (core.objective().has_latency() || budget.latency_ratio) {
    costs.push_back(row.latency_ratio);
  }
  if (core.objective().has_size() || budget.size_ratio) {
    costs.push_back(row.size_ratio);
  }
  return costs;
}

bool Dominates(const Costs& a, const Costs& b) {
  bool is_better = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    is_better |= a[i] < b[i];
  }
  return is_better;
}

std::vector<int> NondominatedRanks(const std::vector<Costs>& costs) {
  std::vector<int> ranks(costs.size());
  std::vector<int> left(costs.size());
  std::iota(left.begin(), left.end(), 0);
  for (int rank = 0; !left.empty(); ++rank) {
    std::vector<int> rest;
    for (const int i : left) {
      const bool is_dominated =
          std::any_of(left.begin(), left.end(),
                      [&](int j) { return Dominates(costs[j], costs[i]); });
      if (is_dominated) {
        rest.push_back(i);
      } else {
        ranks[i] = rank;
      }
    }
    left = std::move(rest);
  }
  return ranks;
}

double DominatedVolume(std::vector<Costs> points, const Costs& reference) {
  points.erase(std::remove_if(points.begin(), points.end(),
                              [&](const Costs& point) {
                                for (size_t i = 0; i < point.size(); ++i) {
                                  if (point[i] >= reference[i]) return true;
                                }
                                return false;
                              }),
               points.end());
  if (reference.size() == 1) {
    double most = 0;
    for (const Costs& point : points) {
      most = std::max(most, reference[0] - point[0]);
    }
    return most;
  }
  if (reference.size() == 2) return Area(std::move(points), reference);
  // Slices along the last cost, each the area of all points below it.
  std::sort(points.begin(), points.end(),
            [](const Costs& a, const Costs& b) { return a[2] < b[2]; });
  double volume = 0;
  std::vector<Costs> below;
  for (size_t i = 0; i < points.size(); ++i) {
    below.push_back(points[i]);
    const double end = i + 1 < points.size() ? points[i + 1][2] : reference[2];
    if (end > points[i][2]) {
      volume += (end - points[i][2]) * Area(below, reference);
    }
  }
  return volume;
}

}  // namespace lathe
