// How many rows (output positions) a layer's regression looks at.
#ifndef LATHE_COMPRESSOR_REGRESSION_ROWS_H_
#define LATHE_COMPRESSOR_REGRESSION_ROWS_H_

#include <cstdint>

namespace lathe {

// Least rows of a regression that finds weights anew.
constexpr int64_t kLeastRegressionRows = 8192;

// For weights found anew after pruning: 16 rows for each of the `unknowns` of
// an output. More samples with fewer positions each serve better than the
// contrary. At most what 64 MiB and about 0.5-0.75 s hold: wide layers get
// fewer rows for it, and are held the closer to their surviving weights.
//
// REQUIRES: unknowns > 0.
int64_t RebuildRows(int64_t unknowns);

// For weights that move by half a step: 16 positions of each of `samples`
// samples, or 6 rows for each unknown. At most what a second holds.
//
// REQUIRES: unknowns > 0.
int64_t RoundingRows(int64_t unknowns, int64_t samples);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REGRESSION_ROWS_H_
