// The best quality known at each of many budgets: what a new plan would gain,
// and where something is missing.
#ifndef LATHE_AGENT_BUDGET_GRID_H_
#define LATHE_AGENT_BUDGET_GRID_H_

#include <vector>

#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// A grid of budgets over latency and size, as shares of the baseline's: over
// the objectives' reachable range, or close under the job's budget where there
// is one. Not thread-safe.
class BudgetGrid {
 public:
  struct Point {
    double latency_ratio = 0;
    double size_ratio = 0;
    // Best quality among what was added within both; the reference before.
    double quality = 0;
  };

  explicit BudgetGrid(const SearchCore& core);

  // Mean over the grid of what the quality would rise (the area gained under
  // the frontier).
  double Gain(double quality, double latency_ratio, double size_ratio) const;
  // The best quality known within these shares; the reference when they are
  // below the whole grid.
  double BestWithin(double latency_ratio, double size_ratio) const;
  void Add(double quality, double latency_ratio, double size_ratio);

  // A budget to aim at, likelier the more quality is lost there against the
  // uncompressed model (in proportion to the root of it).
  const Point& Draw(Random* random) const;

  const std::vector<Point>& points() const { return points_; }

 private:
  std::vector<Point> points_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_BUDGET_GRID_H_
