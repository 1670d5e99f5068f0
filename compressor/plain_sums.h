// Matrix products and convolutions as plain loops. Sums are of doubles, so that
// integers of 8 bits come out exactly. Private to the compressor.
#ifndef LATHE_COMPRESSOR_PLAIN_SUMS_H_
#define LATHE_COMPRESSOR_PLAIN_SUMS_H_

#include <cstdint>

#include "compressor/window.h"

namespace lathe {

// A matrix in memory: element (r, c) is data[r * row + c * column].
struct Matrix {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row = 0;
  int64_t column = 0;
};

// out = a x b, row-major. Out is float or int32_t.
template <typename Out>
void MultiplyMatrices(const Matrix& a, const Matrix& b, Out* out);

struct ConvolutionSizes {
  int64_t batch = 1;
  int64_t groups = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
};

// `in` is [batch, in_channels, window.in...], `weights` [out_channels,
// in_channels / groups, window.kernel...], `bias` null or [out_channels]; one
// to three spatial dimensions. Out is float or int32_t.
template <typename Out>
void Convolve(const ConvolutionSizes& sizes, const Window& window,
              const float* in, const float* weights, const float* bias,
              Out* out);

// Its transpose: `weights` is [in_channels, out_channels / groups, kernel...].
void ConvolveTransposed(const ConvolutionSizes& sizes, const Window& window,
                        const float* in, const float* weights,
                        const float* bias, float* out);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_PLAIN_SUMS_H_
