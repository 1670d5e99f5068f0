#include "agent/accuracy_curve.h"

#include <algorithm>
#include <cmath>

namespace lathe {

void AccuracyCurve::Fit(const std::vector<Evaluated>& rows) {
  std::vector<const Evaluated*> sorted;
  for (const Evaluated& row : rows) {
    if (row.is_feasible) sorted.push_back(&row);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Evaluated* a, const Evaluated* b) {
                     return a->divergence < b->divergence;
                   });
  pools_.clear();
  for (const Evaluated* row : sorted) {
    Pool pool{row->divergence, row->divergence, row->accuracy_ratio,
              row->weight};
    while (!pools_.empty() && pools_.back().accuracy <= pool.accuracy) {
      const Pool& last = pools_.back();
      const double together = last.weight + pool.weight;
      pool.accuracy =
          (last.accuracy * last.weight + pool.accuracy * pool.weight) /
          together;
      pool.weight = together;
      pool.first = last.first;
      pools_.pop_back();
    }
    pools_.push_back(pool);
  }
}

double AccuracyCurve::At(double divergence) const {
  if (pools_.empty()) return 1;
  const auto above = std::lower_bound(
      pools_.begin(), pools_.end(), divergence,
      [](const Pool& pool, double x) { return pool.last < x; });
  if (above == pools_.end()) return pools_.back().accuracy;
  if (above == pools_.begin() || divergence >= above->first) {
    return above->accuracy;
  }
  const Pool& below = *(above - 1);
  const double weight = (divergence - below.last) / (above->first - below.last);
  return below.accuracy + weight * (above->accuracy - below.accuracy);
}

}  // namespace lathe
