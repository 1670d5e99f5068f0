#include "agent/budget_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

// Points along an axis when it is alone, and when there are two.
constexpr int kAlone = 64;
constexpr int kPaired = 12;

// What is thought to be still lost where nothing seems lost.
constexpr double kLeastLoss = 5e-4;

constexpr double kNoBound = std::numeric_limits<double>::infinity();

// Plans below this quality (about a fifth of the accuracy lost) are worth
// nothing to anybody.
constexpr double kReferenceQuality = -0.2;

// With a budget, points lie between this share of the way up from the least
// to it, and the budget; a plan well under it is also an answer.
constexpr double kBudgetStart = 0.6;

std::vector<double> Axis(double least, bool is_objective, double budget,
                         bool has_budget, int count) {
  if (!is_objective && !has_budget) return {1};
  const double most = has_budget ? budget : 1;
  double from = least;
  if (has_budget) from = least + kBudgetStart * (most - least);
  std::vector<double> axis;
  for (int i = 0; i < count; ++i) {
    axis.push_back(from + (most - from) * (i + 1) / count);
  }
  return axis;
}

}  // namespace

BudgetGrid::BudgetGrid(const SearchCore& core) {
  const RelativeBudget& budget = core.objective().budget();
  const bool has_latency =
      core.objective().has_latency() || budget.latency_ratio.has_value();
  const bool has_size =
      core.objective().has_size() || budget.size_ratio.has_value();
  const int count = has_latency && has_size ? kPaired : kAlone;
  const std::vector<double> latencies =
      Axis(core.reachability().least_us() / core.costs().baseline_us(),
           core.objective().has_latency(), budget.latency_ratio.value_or(1),
           budget.latency_ratio.has_value(), count);
  const std::vector<double> sizes =
      Axis(core.reachability().least_bytes() / core.costs().baseline_bytes(),
           core.objective().has_size(), budget.size_ratio.value_or(1),
           budget.size_ratio.has_value(), count);
  for (const double latency : latencies) {
    for (const double size : sizes) {
      points_.push_back({latency, size, kReferenceQuality});
    }
  }
  // An axis that does not matter never excludes.
  for (Point& point : points_) {
    if (!has_latency) point.latency_ratio = kNoBound;
    if (!has_size) point.size_ratio = kNoBound;
  }
}

double BudgetGrid::Gain(double quality, double latency_ratio,
                        double size_ratio) const {
  double gain = 0;
  for (const Point& point : points_) {
    if (latency_ratio <= point.latency_ratio &&
        size_ratio <= point.size_ratio) {
      gain += std::max(0.0, quality - point.quality);
    }
  }
  return gain / static_cast<double>(points_.size());
}

double BudgetGrid::BestWithin(double latency_ratio, double size_ratio) const {
  double best = kReferenceQuality;
  for (const Point& point : points_) {
    if ((point.latency_ratio <= latency_ratio ||
         point.latency_ratio == kNoBound) &&
        (point.size_ratio <= size_ratio || point.size_ratio == kNoBound)) {
      best = std::max(best, point.quality);
    }
  }
  return best;
}

void BudgetGrid::Add(double quality, double latency_ratio, double size_ratio) {
  for (Point& point : points_) {
    if (latency_ratio <= point.latency_ratio &&
        size_ratio <= point.size_ratio) {
      point.quality = std::max(point.quality, quality);
    }
  }
}

const BudgetGrid::Point& BudgetGrid::Draw(Random* random) const {
  std::vector<double> weights;
  for (const Point& point : points_) {
    weights.push_back(std::sqrt(kLeastLoss + std::max(0.0, -point.quality)));
  }
  return points_[random->Weighted(weights)];
}

}  // namespace lathe
