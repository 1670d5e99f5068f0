// Float weights to integers of 2-8 bits.
#ifndef LATHE_COMPRESSOR_WEIGHT_QUANTIZER_H_
#define LATHE_COMPRESSOR_WEIGHT_QUANTIZER_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

enum class ScaleMethod {
  // The largest magnitude of the channel becomes the largest level.
  kMinMax,
  // The scale with the least mean squared error, found by trying clipping
  // points and fitting the best of them by least squares.
  kMse,
};

enum class ScaleScope { kPerChannel, kPerTensor };

enum class WeightGrids {
  // Levels in [-(2^(bits-1) - 1), 2^(bits-1) - 1].
  kSymmetric,
  // 2^bits levels in a row with 0 among them, from the least to the greatest
  // weight. Below 8 bits, where such levels fit a kernel's bytes; at 8 bits
  // they are symmetric.
  kAsymmetric,
  // Asymmetric at 2 and 3 bits, where the level that symmetric ones leave out
  // is worth most; else symmetric. See experiments/compression/README.md.
  kNarrow,
};

// Whether a grid of `bits` bits is asymmetric.
bool IsAsymmetric(WeightGrids grids, int bits);

// Levels in [least, most], worth `scale` each.
struct WeightGrid {
  float scale = 1;
  int least = -127;
  int most = 127;
};

// Quantises `weights` to `bits` bits, one grid per slice along `channel_axis`,
// or one in all, halves to even. A channel of zeros (or of magnitudes below
// 1e-30, whose scale would not be a normal number) gets scale 1 and levels 0.
//
// REQUIRES: `weights` is float32 and 0 <= channel_axis < rank.
// Errors:
//   InvalidArgument - `bits` is not in [2, 8], or a weight is not finite.
absl::StatusOr<QuantizedWeights> QuantizeWeights(
    const Tensor& weights, int channel_axis, int bits, ScaleMethod method,
    ScaleScope scope = ScaleScope::kPerChannel,
    WeightGrids grids = WeightGrids::kSymmetric);

// The scale with which `weights` (one channel, or a whole tensor) lose least
// when rounded to levels in [-most, most], by `method`; 1 for zeros.
//
// Errors: InvalidArgument - a weight is not finite.
absl::StatusOr<float> ChooseScale(absl::Span<const float> weights, int most,
                                  ScaleMethod method);

// The grid of `bits` bits, with its scale by `method`, with which `weights`
// lose least; scale 1 for zeros.
//
// Errors: InvalidArgument - a weight is not finite.
absl::StatusOr<WeightGrid> ChooseWeightGrid(absl::Span<const float> weights,
                                            int bits, ScaleMethod method,
                                            WeightGrids grids);

// What a file adds to levels of the grid, so that they fit in `bits` bits with
// sign (QuantizedWeights::zero_points).
int8_t ZeroPointOf(const WeightGrid& grid, int bits);

// Zero points that are all 0 are none.
void DropZeroPoints(QuantizedWeights* quantized);

// `weight` / scale to the nearest level of the grid, halves to even.
float NearestLevel(float weight, const WeightGrid& grid);

// scale * level for each element, as float32 of `shape`.
Tensor DequantizeWeights(const QuantizedWeights& quantized, const Shape& shape,
                         int channel_axis);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_WEIGHT_QUANTIZER_H_
