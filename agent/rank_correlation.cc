#include "agent/rank_correlation.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lathe {
namespace {

// Ranks less their mean.
std::vector<double> CentredRanks(absl::Span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double mean = (static_cast<double>(values.size()) - 1) / 2;
  std::vector<double> ranks;
  for (const double value : values) {
    const auto [first, last] =
        std::equal_range(sorted.begin(), sorted.end(), value);
    const double rank = static_cast<double>((first - sorted.begin()) +
                                            (last - sorted.begin()) - 1) /
                        2;
    ranks.push_back(rank - mean);
  }
  return ranks;
}

}  // namespace

double RankCorrelation(absl::Span<const double> a, absl::Span<const double> b) {
  const std::vector<double> x = CentredRanks(a);
  const std::vector<double> y = CentredRanks(b);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace lathe
