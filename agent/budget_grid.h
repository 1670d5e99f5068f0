// The best accuracy known at each of many budgets: what a new plan would gain,
// and where something is missing.
#ifndef LATHE_AGENT_BUDGET_GRID_H_
#define LATHE_AGENT_BUDGET_GRID_H_

#include <limits>
#include <vector>

#include "agent/random.h"
#include "agent/search_core.h"
#include "agent/state_archive.h"

namespace lathe {

// Latency and size that a plan may have, as shares of the baseline's. Infinite:
// no bound.
struct EpisodeBudget {
  double latency_ratio = std::numeric_limits<double>::infinity();
  double size_ratio = std::numeric_limits<double>::infinity();
};

// The same as a prediction, never beyond the job's own limits.
Limits LimitsOf(const SearchCore& core, const EpisodeBudget& budget);

// A grid of budgets over latency and size, as shares of the baseline's: over
// the objectives' reachable range, or close under the job's budget where there
// is one. Worth is accuracy as a share of the uncompressed model's. Not
// thread-safe.
class BudgetGrid {
 public:
  // With a budget, points lie between this share of the way up from the least
  // to it, and the budget; a plan well under it is also an answer.
  static constexpr double kBudgetStart = 0.6;

  // Empty, over what `core` believes to be reachable as it stands.
  explicit BudgetGrid(const SearchCore& core);

  // Empty, over axes of the caller's: ascending shares, or infinity alone for
  // an axis that does not matter. Worth counts from `least_worth` on.
  BudgetGrid(std::vector<double> latencies, std::vector<double> sizes,
             double least_worth);

  // Mean over the grid of what the worth would rise (the volume gained under
  // the frontier).
  double Gain(double worth, double latency_ratio, double size_ratio) const;
  // The best worth known at the tightest budget of the grid that allows these
  // shares.
  double BestWithin(double latency_ratio, double size_ratio) const;
  void Add(double worth, double latency_ratio, double size_ratio);

  // A budget to aim at, likelier the more is lost there against the
  // uncompressed model (in proportion to the root of it).
  EpisodeBudget Draw(Random* random) const;

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(latencies_);
    archive(sizes_);
    archive(best_);
  }

 private:
  // Index of the first budget of an axis that allows `ratio`.
  static size_t FirstAllowing(const std::vector<double>& axis, double ratio);

  // Ascending; infinite alone for an axis that does not matter.
  std::vector<double> latencies_;
  std::vector<double> sizes_;
  // Best worth by latency, then size.
  std::vector<double> best_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_BUDGET_GRID_H_
