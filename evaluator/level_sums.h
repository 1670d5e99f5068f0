// What sums of levels, as products of 8-bit levels give them, stand for.
#ifndef LATHE_EVALUATOR_LEVEL_SUMS_H_
#define LATHE_EVALUATOR_LEVEL_SUMS_H_

#include <cstdint>
#include <vector>

#include "evaluator/level_products.h"

namespace lathe {

// Of a linear layer whose weights are levels: by output its scale, the sum of
// its weights' levels, and its bias.
struct LevelSums {
  std::vector<float> scales;
  std::vector<float> weight_sums;
  std::vector<float> bias;

  int64_t columns() const { return static_cast<int64_t>(scales.size()); }
};

// out[r][c] = bias[c] + grid.scale * scales[c] * (sums[r][c] - grid.zero_point
// * weight_sums[c]), of `rows` rows of columns(): the layer's numbers, its
// input being levels of `grid`.
void NumbersOfSums(const int32_t* sums, int64_t rows, const LevelSums& of,
                   const OwnLevels& grid, float* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LEVEL_SUMS_H_
