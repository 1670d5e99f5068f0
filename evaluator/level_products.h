// Products of 8-bit levels with few rows, exact in 32 bits: what recurrent
// layers and single vectors need, and too small for oneDNN's kernels.
#ifndef LATHE_EVALUATOR_LEVEL_PRODUCTS_H_
#define LATHE_EVALUATOR_LEVEL_PRODUCTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// Columns so that no sum of 255 * 127 a column leaves 31 bits.
constexpr int64_t kMostLevelColumns = 65536;

// A matrix of levels as MultiplyLevels reads it: of each 16 rows, and in them
// of each 4 columns, the rows' levels side by side; zeros fill up.
class PackedLevels {
 public:
  PackedLevels() = default;
  // Row r, column c lies at levels[r * row_stride + c * column_stride].
  //
  // REQUIRES: columns <= kMostLevelColumns.
  PackedLevels(const int8_t* levels, int64_t rows, int64_t columns,
               int64_t row_stride, int64_t column_stride);

  // Rows with those that fill up.
  int64_t padded_rows() const { return blocks_ * 16; }
  // Bytes of a vector that it is multiplied with, whose last ones are zeros.
  int64_t padded_columns() const { return groups_ * 4; }
  int64_t blocks() const { return blocks_; }
  int64_t groups() const { return groups_; }
  const std::vector<int8_t>& bytes() const { return bytes_; }
  // Sum of each row, `rows` of them.
  const std::vector<int32_t>& row_sums() const { return row_sums_; }

 private:
  int64_t blocks_ = 0;
  int64_t groups_ = 0;
  std::vector<int8_t> bytes_;
  std::vector<int32_t> row_sums_;
};

// Where a PackedLevels' bytes lie, best on a cache line's boundary.
struct LevelsView {
  const int8_t* bytes = nullptr;
  int64_t blocks = 0;
  int64_t groups = 0;
};

// out[r] = sum over c of source[c] * level[r][c], for all padded rows.
// `source` has padded_columns() bytes.
void MultiplyLevels(const uint8_t* source, const LevelsView& levels,
                    int32_t* out);

// Whether MultiplyLevels has an instruction for it (VNNI).
bool HasLevelProducts();

// A grid that numbers in [least, most] give (DynamicGrid), and the levels of
// the numbers `in` on their own.
struct OwnLevels {
  float scale = 1;
  int32_t zero_point = 0;
};
OwnLevels OwnLevelsOf(float least, float most);
OwnLevels TakeOwnLevels(const float* in, int64_t size, uint8_t* out);
// The same on a given grid.
void TakeLevels(const float* in, int64_t size, const OwnLevels& grid,
                uint8_t* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LEVEL_PRODUCTS_H_
