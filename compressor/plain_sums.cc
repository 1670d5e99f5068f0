#include "compressor/plain_sums.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace lathe {
namespace {

// A window with three spatial dimensions; those in front have size 1.
Window AsVolume(Window window) {
  while (window.in.size() < 3) {
    for (auto* ones : {&window.kernel, &window.strides, &window.dilations,
                       &window.in, &window.out}) {
      ones->insert(ones->begin(), 1);
    }
    for (auto* zeros : {&window.pads_begin, &window.pads_end}) {
      zeros->insert(zeros->begin(), 0);
    }
  }
  return window;
}

int64_t Volume(const std::vector<int64_t>& sizes) {
  return sizes[0] * sizes[1] * sizes[2];
}

// Where tap `k` of the window at `o` lies in dimension `d`.
int64_t Reach(const Window& w, int d, int64_t o, int64_t k) {
  return o * w.strides[d] + k * w.dilations[d] - w.pads_begin[d];
}

bool IsIn(int64_t index, int64_t size) { return index >= 0 && index < size; }

// Output columns [first, last) whose input column for kernel column `k` lies
// inside the input.
struct Columns {
  int64_t first = 0;
  int64_t last = 0;
};

Columns InsideColumns(const Window& w, int64_t k) {
  const int64_t shift = k * w.dilations[2] - w.pads_begin[2];
  const int64_t stride = w.strides[2];
  Columns columns;
  columns.first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t room = w.in[2] - 1 - shift;
  columns.last = room < 0 ? 0 : std::min<int64_t>(w.out[2], room / stride + 1);
  return columns;
}

// Adds kernel row x input row to one output row of sums.
void AddRow(const Window& w, const float* in_row, const float* kernel_row,
            double* sums) {
  for (int64_t k = 0; k < w.kernel[2]; ++k) {
    const double weight = kernel_row[k];
    const Columns columns = InsideColumns(w, k);
    const int64_t shift = k * w.dilations[2] - w.pads_begin[2];
    for (int64_t o = columns.first; o < columns.last; ++o) {
      sums[o] += weight * in_row[o * w.strides[2] + shift];
    }
  }
}

// Adds one channel's part to the output row (z, y).
void AddChannel(const Window& w, const float* in, const float* kernel,
                int64_t z, int64_t y, double* sums) {
  for (int64_t i = 0; i < w.kernel[0]; ++i) {
    const int64_t plane = Reach(w, 0, z, i);
    if (!IsIn(plane, w.in[0])) continue;
    for (int64_t j = 0; j < w.kernel[1]; ++j) {
      const int64_t row = Reach(w, 1, y, j);
      if (!IsIn(row, w.in[1])) continue;
      AddRow(w, in + (plane * w.in[1] + row) * w.in[2],
             kernel + (i * w.kernel[1] + j) * w.kernel[2], sums);
    }
  }
}

// One output channel of one sample: `in` are the channels of its group.
template <typename Out>
void ConvolveChannel(const Window& w, int64_t channels, const float* in,
                     const float* weights, double bias, Out* out) {
  std::vector<double> sums(w.out[2]);
  for (int64_t row = 0; row < w.out[0] * w.out[1]; ++row) {
    std::fill(sums.begin(), sums.end(), bias);
    for (int64_t c = 0; c < channels; ++c) {
      AddChannel(w, in + c * Volume(w.in), weights + c * Volume(w.kernel),
                 row / w.out[1], row % w.out[1], sums.data());
    }
    std::transform(sums.begin(), sums.end(), out + row * w.out[2],
                   [](double sum) { return static_cast<Out>(sum); });
  }
}

// Spreads row (z, y) of one input channel over one output channel.
void SpreadRow(const Window& w, const float* in_row, const float* kernel,
               int64_t z, int64_t y, double* out) {
  for (int64_t tap = 0; tap < w.kernel[0] * w.kernel[1]; ++tap) {
    const int64_t plane = Reach(w, 0, z, tap / w.kernel[1]);
    const int64_t row = Reach(w, 1, y, tap % w.kernel[1]);
    if (!IsIn(plane, w.out[0]) || !IsIn(row, w.out[1])) continue;
    double* out_row = out + (plane * w.out[1] + row) * w.out[2];
    for (int64_t x = 0; x < w.in[2]; ++x) {
      for (int64_t k = 0; k < w.kernel[2]; ++k) {
        const int64_t column = Reach(w, 2, x, k);
        if (!IsIn(column, w.out[2])) continue;
        out_row[column] +=
            static_cast<double>(in_row[x]) * kernel[tap * w.kernel[2] + k];
      }
    }
  }
}

}  // namespace

template <typename Out>
void MultiplyMatrices(const Matrix& a, const Matrix& b, Out* out) {
  std::vector<double> sums(b.columns);
  for (int64_t r = 0; r < a.rows; ++r) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t k = 0; k < a.columns; ++k) {
      const double left = a.data[r * a.row + k * a.column];
      const float* right = b.data + k * b.row;
      for (int64_t c = 0; c < b.columns; ++c) {
        sums[c] += left * right[c * b.column];
      }
    }
    for (int64_t c = 0; c < b.columns; ++c) {
      out[r * b.columns + c] = static_cast<Out>(sums[c]);
    }
  }
}

template void MultiplyMatrices<float>(const Matrix&, const Matrix&, float*);
template void MultiplyMatrices<int32_t>(const Matrix&, const Matrix&, int32_t*);

template <typename Out>
void Convolve(const ConvolutionSizes& sizes, const Window& window,
              const float* in, const float* weights, const float* bias,
              Out* out) {
  const Window w = AsVolume(window);
  const int64_t channels = sizes.in_channels / sizes.groups;
  for (int64_t i = 0; i < sizes.batch * sizes.out_channels; ++i) {
    const int64_t sample = i / sizes.out_channels;
    const int64_t o = i % sizes.out_channels;
    const int64_t group = o / (sizes.out_channels / sizes.groups);
    const int64_t first = sample * sizes.in_channels + group * channels;
    ConvolveChannel(w, channels, in + first * Volume(w.in),
                    weights + o * channels * Volume(w.kernel),
                    bias == nullptr ? 0.0 : bias[o], out + i * Volume(w.out));
  }
}

template void Convolve<float>(const ConvolutionSizes&, const Window&,
                              const float*, const float*, const float*, float*);
template void Convolve<int32_t>(const ConvolutionSizes&, const Window&,
                                const float*, const float*, const float*,
                                int32_t*);

void ConvolveTransposed(const ConvolutionSizes& sizes, const Window& window,
                        const float* in, const float* weights,
                        const float* bias, float* out) {
  const Window w = AsVolume(window);
  const int64_t per_group = sizes.out_channels / sizes.groups;
  const int64_t channels = sizes.in_channels / sizes.groups;
  std::vector<double> sums(Volume(w.out));
  for (int64_t i = 0; i < sizes.batch * sizes.out_channels; ++i) {
    const int64_t sample = i / sizes.out_channels;
    const int64_t o = i % sizes.out_channels;
    std::fill(sums.begin(), sums.end(), bias == nullptr ? 0.0 : bias[o]);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t channel = o / per_group * channels + c;
      const float* kernel =
          weights + (channel * per_group + o % per_group) * Volume(w.kernel);
      const float* plane =
          in + (sample * sizes.in_channels + channel) * Volume(w.in);
      for (int64_t row = 0; row < w.in[0] * w.in[1]; ++row) {
        SpreadRow(w, plane + row * w.in[2], kernel, row / w.in[1],
                  row % w.in[1], sums.data());
      }
    }
    std::transform(sums.begin(), sums.end(), out + i * Volume(w.out),
                   [](double sum) { return static_cast<float>(sum); });
  }
}

}  // namespace lathe
