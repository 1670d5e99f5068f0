#include "evaluator/resample.h"

#include <algorithm>
#include <cstring>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

// sums (+)= weight * in.
[[gnu::always_inline]] inline void AddScaled(const float* in, int64_t size,
                                             float weight, bool is_first,
                                             float* sums) {
  Floats x;
  Floats sum;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    Load(in + i, x);
    x *= weight;
    if (!is_first) {
      Load(sums + i, sum);
      x += sum;
    }
    Store(x, sums + i);
  }
  for (; i < size; ++i) {
    sums[i] = is_first ? weight * in[i] : sums[i] + weight * in[i];
  }
}

// One row of places, each of `inner` numbers.
[[gnu::always_inline]] inline void ResampleRow(const AxisResampling& axis,
                                               int64_t inner, const float* in,
                                               float* out) {
  const int32_t* indices = axis.indices.data();
  const float* weights = axis.weights.data();
  if (inner > 1) {
    for (int64_t p = 0; p < axis.out; ++p) {
      for (int64_t t = 0; t < axis.taps; ++t) {
        AddScaled(in + indices[t * axis.out + p] * inner, inner,
                  weights[t * axis.out + p], t == 0, out + p * inner);
      }
    }
    return;
  }
  if (axis.taps == 2) {
    for (int64_t p = 0; p < axis.out; ++p) {
      out[p] = weights[p] * in[indices[p]] +
               weights[axis.out + p] * in[indices[axis.out + p]];
    }
    return;
  }
  for (int64_t p = 0; p < axis.out; ++p) {
    float sum = 0;
    for (int64_t t = 0; t < axis.taps; ++t) {
      sum += weights[t * axis.out + p] * in[indices[t * axis.out + p]];
    }
    out[p] = sum;
  }
}

// Whether places `a` and `b` of the axis show the same.
bool IsSamePlace(const AxisResampling& axis, int64_t a, int64_t b) {
  for (int64_t t = 0; t < axis.taps; ++t) {
    if (axis.indices[t * axis.out + a] != axis.indices[t * axis.out + b] ||
        axis.weights[t * axis.out + a] != axis.weights[t * axis.out + b]) {
      return false;
    }
  }
  return true;
}

// `scratch` holds one input row.
[[gnu::always_inline]] inline void ResampleBody(const Resampling& resampling,
                                                const float* in, float* scratch,
                                                float* out) {
  const auto& [depth, height, width] = resampling.axes;
  const int64_t in_row = width.in * resampling.inner;
  const int64_t out_row = width.out * resampling.inner;
  for (int64_t d = 0; d < depth.out; ++d) {
    for (int64_t h = 0; h < height.out; ++h, out += out_row) {
      if (h > 0 && IsSamePlace(height, h - 1, h)) {
        std::memcpy(out, out - out_row, out_row * sizeof(float));
        continue;
      }
      bool is_first = true;
      for (int64_t i = 0; i < depth.taps * height.taps; ++i) {
        const int64_t at_depth = i / height.taps * depth.out + d;
        const int64_t at_height = i % height.taps * height.out + h;
        const float weight =
            depth.weights[at_depth] * height.weights[at_height];
        const int64_t row =
            depth.indices[at_depth] * height.in + height.indices[at_height];
        AddScaled(in + row * in_row, in_row, weight, is_first, scratch);
        is_first = false;
      }
      ResampleRow(width, resampling.inner, scratch, out);
    }
  }
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
ResampleAvx512(const Resampling& resampling, const float* in, float* scratch,
               float* out) {
  ResampleBody(resampling, in, scratch, out);
}
__attribute__((target("avx2,fma"))) void ResampleAvx2(
    const Resampling& resampling, const float* in, float* scratch, float* out) {
  ResampleBody(resampling, in, scratch, out);
}
void ResamplePlain(const Resampling& resampling, const float* in,
                   float* scratch, float* out) {
  ResampleBody(resampling, in, scratch, out);
}

// Places of a row that show neighbours of the input in turn.
struct PlaceRun {
  int64_t out = 0;
  int64_t in = 0;
  int64_t count = 0;
};

// How a row of places is moved, found out once for all rows.
struct RowMoves {
  std::vector<PlaceRun> runs;
  // Every place of the input is shown twice in turn.
  bool is_doubling = false;
};

RowMoves MovesOf(const AxisResampling& axis) {
  RowMoves moves;
  moves.is_doubling = axis.out == 2 * axis.in;
  for (int64_t p = 0; p < axis.out; ++p) {
    const int64_t in = axis.indices[p];
    moves.is_doubling = moves.is_doubling && in == p / 2;
    if (!moves.runs.empty() &&
        moves.runs.back().in + moves.runs.back().count == in) {
      ++moves.runs.back().count;
    } else {
      moves.runs.push_back({p, in, 1});
    }
  }
  return moves;
}

template <int64_t kBytes>
void MoveEach(const AxisResampling& axis, const char* in, char* out) {
  for (int64_t p = 0; p < axis.out; ++p) {
    std::memcpy(out + p * kBytes, in + axis.indices[p] * kBytes, kBytes);
  }
}

void DoubleWords(int64_t count, const char* in, char* out) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    std::memcpy(&word, in + i * sizeof(word), sizeof(word));
    const uint64_t twice = word * ((uint64_t{1} << 32) + 1);
    std::memcpy(out + i * sizeof(twice), &twice, sizeof(twice));
  }
}

// Places in a run on average, from which on it is worth copying runs.
constexpr int64_t kLeastRun = 8;

void MoveRow(const AxisResampling& axis, const RowMoves& moves, int64_t bytes,
             const char* in, char* out) {
  if (moves.is_doubling && bytes == sizeof(uint32_t)) {
    return DoubleWords(axis.in, in, out);
  }
  const auto runs = static_cast<int64_t>(moves.runs.size());
  if (axis.out >= kLeastRun * runs || bytes > 64) {
    for (const PlaceRun& run : moves.runs) {
      std::memcpy(out + run.out * bytes, in + run.in * bytes,
                  run.count * bytes);
    }
    return;
  }
  switch (bytes) {
    case 1:
      return MoveEach<1>(axis, in, out);
    case 2:
      return MoveEach<2>(axis, in, out);
    case 4:
      return MoveEach<4>(axis, in, out);
    case 8:
      return MoveEach<8>(axis, in, out);
    case 16:
      return MoveEach<16>(axis, in, out);
    case 32:
      return MoveEach<32>(axis, in, out);
    case 64:
      return MoveEach<64>(axis, in, out);
    default:
      for (int64_t p = 0; p < axis.out; ++p) {
        std::memcpy(out + p * bytes, in + axis.indices[p] * bytes, bytes);
      }
  }
}

void MoveOne(const Resampling& resampling, const RowMoves& moves,
             int64_t element_bytes, const char* in, char* out) {
  const auto& [depth, height, width] = resampling.axes;
  const int64_t bytes = resampling.inner * element_bytes;
  for (int64_t d = 0; d < depth.out; ++d) {
    for (int64_t h = 0; h < height.out; ++h, out += width.out * bytes) {
      if (h > 0 && height.indices[h - 1] == height.indices[h]) {
        std::memcpy(out, out - width.out * bytes, width.out * bytes);
        continue;
      }
      const int64_t row = depth.indices[d] * height.in + height.indices[h];
      MoveRow(width, moves, bytes, in + row * width.in * bytes, out);
    }
  }
}

struct Sizes {
  int64_t in = 1;
  int64_t out = 1;
};

// Numbers of one of the outer ones.
Sizes SizesOf(const Resampling& resampling) {
  Sizes sizes{resampling.inner, resampling.inner};
  for (const AxisResampling& axis : resampling.axes) {
    sizes.in *= axis.in;
    sizes.out *= axis.out;
  }
  return sizes;
}

// Threads cost some microseconds to start.
constexpr int64_t kLeastForThreads = int64_t{1} << 15;

}  // namespace

void ResampleNumbers(const Resampling& resampling, const float* in,
                     float* out) {
  static const auto resample =
      OfWidestIsa(ResampleAvx512, ResampleAvx2, ResamplePlain);
  const Sizes sizes = SizesOf(resampling);
  const int64_t row = resampling.axes[2].in * resampling.inner;
#pragma omp parallel if (resampling.outer * sizes.out >= kLeastForThreads)
  {
    std::vector<float> scratch(row);
#pragma omp for
    for (int64_t o = 0; o < resampling.outer; ++o) {
      resample(resampling, in + o * sizes.in, scratch.data(),
               out + o * sizes.out);
    }
  }
}

void MoveNearest(const Resampling& resampling, int64_t element_bytes,
                 const char* in, char* out) {
  const Sizes sizes = SizesOf(resampling);
  const RowMoves moves = MovesOf(resampling.axes[2]);
#pragma omp parallel for if (resampling.outer * sizes.out >= kLeastForThreads)
  for (int64_t o = 0; o < resampling.outer; ++o) {
    MoveOne(resampling, moves, element_bytes, in + o * sizes.in * element_bytes,
            out + o * sizes.out * element_bytes);
  }
}

}  // namespace lathe
