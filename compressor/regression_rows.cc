#include "compressor/regression_rows.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

constexpr int64_t kRebuildRowsPerUnknown = 16;
constexpr int64_t kRoundingRowsPerUnknown = 6;
constexpr int64_t kPositionsPerSample = 16;
// Largest regression matrix: 64 MiB.
constexpr int64_t kMostElements = int64_t{1} << 24;
// Most multiplications for a Gram matrix: 0.5-1 s.
constexpr double kMostProducts = 8e9;

}  // namespace

int64_t RebuildRows(int64_t unknowns) {
  const int64_t wanted =
      std::max(kLeastRegressionRows, kRebuildRowsPerUnknown * unknowns);
  // The Gram matrix takes rows * unknowns * min(rows, unknowns) products.
  const double per_unknown = kMostProducts / static_cast<double>(unknowns);
  const double affordable =
      std::max(std::min(per_unknown / static_cast<double>(unknowns), 1e9),
               std::min(std::sqrt(per_unknown), static_cast<double>(unknowns)));
  return std::min({wanted, static_cast<int64_t>(affordable),
                   std::max<int64_t>(1, kMostElements / unknowns)});
}

int64_t RoundingRows(int64_t unknowns, int64_t samples) {
  const int64_t wanted = std::max(kPositionsPerSample * samples,
                                  kRoundingRowsPerUnknown * unknowns);
  const double affordable =
      kMostProducts / static_cast<double>(unknowns * unknowns);
  return std::min(wanted, static_cast<int64_t>(affordable));
}

}  // namespace lathe
