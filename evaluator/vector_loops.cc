#include "evaluator/vector_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "evaluator/vector_math.h"

namespace lathe {
namespace {

[[gnu::always_inline]] inline float SumOf(const Floats& x) {
  float sum = 0;
  for (int64_t i = 0; i < kWidth; ++i) sum += x[i];
  return sum;
}

[[gnu::always_inline]] inline float LargestOf(const float* in, int64_t size) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  Floats most = Floats{} + kNone;
  Floats x;
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) {
    Load(in + i, x);
    most = x > most ? x : most;
  }
  if (i < size) {
    LoadSome(in + i, size - i, kNone, x);
    most = x > most ? x : most;
  }
  float largest = most[0];
  for (int64_t l = 1; l < kWidth; ++l) largest = std::max(largest, most[l]);
  return largest;
}

[[gnu::always_inline]] inline void SoftmaxBody(const float* in, int64_t rows,
                                               int64_t size, float* out) {
  for (int64_t row = 0; row < rows; ++row, in += size, out += size) {
    const float largest = LargestOf(in, size);
    Floats sums = {};
    Floats x;
    int64_t i = 0;
    for (; i + kWidth <= size; i += kWidth) {
      Load(in + i, x);
      x -= largest;
      ExpOfNegative(x);
      sums += x;
      Store(x, out + i);
    }
    float sum = SumOf(sums);
    if (i < size) {
      LoadSome(in + i, size - i, largest, x);
      x -= largest;
      ExpOfNegative(x);
      std::memcpy(out + i, &x, (size - i) * sizeof(float));
      for (int64_t l = 0; l < size - i; ++l) sum += x[l];
    }
    const float factor = 1 / sum;
    for (i = 0; i + kWidth <= size; i += kWidth) {
      Load(out + i, x);
      x *= factor;
      Store(x, out + i);
    }
    for (; i < size; ++i) out[i] *= factor;
  }
}

// Softmax of the columns of [count, inner], at most kWidth of them at a time;
// `stride` floats lie between two rows.
[[gnu::always_inline]] inline void SoftmaxStrip(const float* in, int64_t count,
                                                int64_t stride, int64_t width,
                                                float* out) {
  Floats most = Floats{} - std::numeric_limits<float>::infinity();
  Floats sums = {};
  Floats x;
  const auto load = [&](const float* from) {
    if (width == kWidth) {
      Load(from, x);
    } else {
      LoadSome(from, width, 0, x);
    }
  };
  const auto store = [&](float* to) {
    std::memcpy(to, &x, width * sizeof(float));
  };
  for (int64_t k = 0; k < count; ++k) {
    load(in + k * stride);
    most = x > most ? x : most;
  }
  for (int64_t k = 0; k < count; ++k) {
    load(in + k * stride);
    x -= most;
    ExpOfNegative(x);
    sums += x;
    store(out + k * stride);
  }
  const Floats factor = 1.0f / sums;
  for (int64_t k = 0; k < count; ++k) {
    load(out + k * stride);
    x *= factor;
    store(out + k * stride);
  }
}

[[gnu::always_inline]] inline void SoftmaxColumnsBody(const float* in,
                                                      int64_t count,
                                                      int64_t inner,
                                                      float* out) {
  for (int64_t i = 0; i < inner; i += kWidth) {
    SoftmaxStrip(in + i, count, inner, std::min(kWidth, inner - i), out + i);
  }
}

// Pixels whose channels are put side by side at a time: they stay in the
// nearest cache.
constexpr int64_t kTile = 64;

[[gnu::always_inline]] inline void LevelsOf(const float* in,
                                            const ByteGrid& grid, char* out) {
  Floats x;
  Load(in, x);
  x /= grid.scale;
  x = x == x ? x : Floats{};
  x = x < -600.0f ? Floats{} - 600.0f : x;
  x = x > 600.0f ? Floats{} + 600.0f : x;
  x += kRounder;
  Ints level;
  SameBits(x, level);
  level += grid.zero_point - kRounderBits;
  level = level < grid.least ? Ints{} + grid.least : level;
  level = level > grid.least + 255 ? Ints{} + (grid.least + 255) : level;
  const Bytes bytes = __builtin_convertvector(level, Bytes);
  std::memcpy(out, &bytes, sizeof(bytes));
}

[[gnu::always_inline]] inline void NumbersOf(const char* in,
                                             const ByteGrid& grid, float* out) {
  Bytes bytes;
  std::memcpy(&bytes, in, sizeof(bytes));
  Ints levels = __builtin_convertvector(bytes, Ints);
  if (grid.least == 0) levels &= 255;
  Store(__builtin_convertvector(levels - grid.zero_point, Floats) * grid.scale,
        out);
}

// kWidth numbers.
[[gnu::always_inline]] inline void ConvertSome(const char* in,
                                               const ByteGrid* from,
                                               const ByteGrid* to, char* out) {
  float numbers[kWidth];
  if (from != nullptr) {
    NumbersOf(in, *from, numbers);
  } else {
    std::memcpy(numbers, in, sizeof(numbers));
  }
  if (to != nullptr) {
    LevelsOf(numbers, *to, out);
  } else {
    std::memcpy(out, numbers, sizeof(numbers));
  }
}

[[gnu::always_inline]] inline void ConvertBody(const char* in,
                                               const ByteGrid* from,
                                               int64_t size, const ByteGrid* to,
                                               char* out) {
  const int64_t in_bytes = from != nullptr ? 1 : sizeof(float);
  const int64_t out_bytes = to != nullptr ? 1 : sizeof(float);
  const int64_t whole = size / kWidth * kWidth;
  for (int64_t i = 0; i < whole; i += kWidth) {
    ConvertSome(in + i * in_bytes, from, to, out + i * out_bytes);
  }
  if (whole == size) return;
  char last_in[kWidth * sizeof(float)] = {};
  char last_out[kWidth * sizeof(float)];
  std::memcpy(last_in, in + whole * in_bytes, (size - whole) * in_bytes);
  ConvertSome(last_in, from, to, last_out);
  std::memcpy(out + whole * out_bytes, last_out, (size - whole) * out_bytes);
}

template <int64_t kChannels>
[[gnu::always_inline]] inline void Interleave(const char (*tile)[kTile],
                                              int64_t channels, int64_t count,
                                              char* out) {
  const int64_t width = kChannels > 0 ? kChannels : channels;
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t c = 0; c < width; ++c) out[p * width + c] = tile[c][p];
  }
}

[[gnu::always_inline]] inline void LevelsBody(const float* in, int64_t batch,
                                              int64_t channels, int64_t pixels,
                                              const ByteGrid& grid, char* out) {
  char tile[kMostLevelChannels][kTile];
  float last[kTile] = {};
  for (int64_t n = 0; n < batch; ++n, in += channels * pixels) {
    for (int64_t first = 0; first < pixels; first += kTile) {
      const int64_t count = std::min(kTile, pixels - first);
      for (int64_t c = 0; c < channels; ++c) {
        const float* from = in + c * pixels + first;
        if (count < kTile) {
          std::memcpy(last, from, count * sizeof(float));
          from = last;
        }
        for (int64_t p = 0; p < count; p += kWidth) {
          LevelsOf(from + p, grid, tile[c] + p);
        }
      }
      if (channels == 3) {
        Interleave<3>(tile, channels, count, out);
      } else {
        Interleave<0>(tile, channels, count, out);
      }
      out += count * channels;
    }
  }
}

[[gnu::always_inline]] inline void RangeBody(const float* in, int64_t size,
                                             NumberRange* range) {
  Floats least = {};
  Floats most = {};
  Floats x;
  for (int64_t i = 0; i < size; i += kWidth) {
    if (i + kWidth <= size) {
      Load(in + i, x);
    } else {
      LoadSome(in + i, size - i, 0, x);
    }
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  for (int64_t l = 0; l < kWidth; ++l) {
    range->least = std::min(range->least, least[l]);
    range->most = std::max(range->most, most[l]);
  }
}

// ------------------------------------------------- for each instruction set

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
RangeAvx512(const float* in, int64_t size, NumberRange* range) {
  RangeBody(in, size, range);
}
__attribute__((target("avx2,fma"))) void RangeAvx2(const float* in,
                                                   int64_t size,
                                                   NumberRange* range) {
  RangeBody(in, size, range);
}
void RangePlain(const float* in, int64_t size, NumberRange* range) {
  RangeBody(in, size, range);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
SoftmaxAvx512(const float* in, int64_t rows, int64_t size, float* out) {
  SoftmaxBody(in, rows, size, out);
}
__attribute__((target("avx2,fma"))) void SoftmaxAvx2(const float* in,
                                                     int64_t rows, int64_t size,
                                                     float* out) {
  SoftmaxBody(in, rows, size, out);
}
void SoftmaxPlain(const float* in, int64_t rows, int64_t size, float* out) {
  SoftmaxBody(in, rows, size, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
SoftmaxColumnsAvx512(const float* in, int64_t count, int64_t inner,
                     float* out) {
  SoftmaxColumnsBody(in, count, inner, out);
}
__attribute__((target("avx2,fma"))) void SoftmaxColumnsAvx2(const float* in,
                                                            int64_t count,
                                                            int64_t inner,
                                                            float* out) {
  SoftmaxColumnsBody(in, count, inner, out);
}
void SoftmaxColumnsPlain(const float* in, int64_t count, int64_t inner,
                         float* out) {
  SoftmaxColumnsBody(in, count, inner, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
LevelsAvx512(const float* in, int64_t batch, int64_t channels, int64_t pixels,
             const ByteGrid& grid, char* out) {
  LevelsBody(in, batch, channels, pixels, grid, out);
}
__attribute__((target("avx2,fma"))) void LevelsAvx2(
    const float* in, int64_t batch, int64_t channels, int64_t pixels,
    const ByteGrid& grid, char* out) {
  LevelsBody(in, batch, channels, pixels, grid, out);
}
void LevelsPlain(const float* in, int64_t batch, int64_t channels,
                 int64_t pixels, const ByteGrid& grid, char* out) {
  LevelsBody(in, batch, channels, pixels, grid, out);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) void
ConvertAvx512(const char* in, const ByteGrid* from, int64_t size,
              const ByteGrid* to, char* out) {
  ConvertBody(in, from, size, to, out);
}
__attribute__((target("avx2,fma"))) void ConvertAvx2(const char* in,
                                                     const ByteGrid* from,
                                                     int64_t size,
                                                     const ByteGrid* to,
                                                     char* out) {
  ConvertBody(in, from, size, to, out);
}
void ConvertPlain(const char* in, const ByteGrid* from, int64_t size,
                  const ByteGrid* to, char* out) {
  ConvertBody(in, from, size, to, out);
}

struct Loops {
  const char* isa;
  decltype(&SoftmaxPlain) softmax;
  decltype(&LevelsPlain) levels;
  decltype(&RangePlain) range;
  decltype(&ConvertPlain) convert;
};

Loops ChooseLoops() {
  switch (WidestVectorIsa()) {
    case VectorIsa::kAvx512:
      return {"avx512", SoftmaxAvx512, LevelsAvx512, RangeAvx512,
              ConvertAvx512};
    case VectorIsa::kAvx2:
      return {"avx2", SoftmaxAvx2, LevelsAvx2, RangeAvx2, ConvertAvx2};
    case VectorIsa::kPlain:
      break;
  }
  return {"plain", SoftmaxPlain, LevelsPlain, RangePlain, ConvertPlain};
}

const Loops& ChosenLoops() {
  static const Loops loops = ChooseLoops();
  return loops;
}

// Threads cost some microseconds to start.
constexpr int64_t kLeastForThreads = int64_t{1} << 15;

}  // namespace

void SoftmaxRows(const float* in, int64_t rows, int64_t size, float* out) {
  const auto softmax = ChosenLoops().softmax;
#pragma omp parallel for if (rows * size >= kLeastForThreads)
  for (int64_t first = 0; first < rows; first += 16) {
    softmax(in + first * size, std::min<int64_t>(16, rows - first), size,
            out + first * size);
  }
}

void SoftmaxColumns(const float* in, int64_t outer, int64_t count,
                    int64_t inner, float* out) {
  static const auto softmax = OfWidestIsa(
      SoftmaxColumnsAvx512, SoftmaxColumnsAvx2, SoftmaxColumnsPlain);
  const int64_t size = count * inner;
#pragma omp parallel for if (outer * size >= kLeastForThreads)
  for (int64_t o = 0; o < outer; ++o) {
    softmax(in + o * size, count, inner, out + o * size);
  }
}

NumberRange RangeOfNumbers(const float* in, int64_t size) {
  NumberRange range;
  ChosenLoops().range(in, size, &range);
  return range;
}

void ConvertNumbers(const char* in, const std::optional<ByteGrid>& from,
                    int64_t size, const std::optional<ByteGrid>& to,
                    char* out) {
  const auto convert = ChosenLoops().convert;
  const int64_t in_bytes = from ? 1 : sizeof(float);
  const int64_t out_bytes = to ? 1 : sizeof(float);
#pragma omp parallel for if (size > kLeastForThreads)
  for (int64_t first = 0; first < size; first += kLeastForThreads) {
    convert(in + first * in_bytes, from ? &*from : nullptr,
            std::min(kLeastForThreads, size - first), to ? &*to : nullptr,
            out + first * out_bytes);
  }
}

void LevelsChannelsLast(const float* in, int64_t batch, int64_t channels,
                        int64_t pixels, const ByteGrid& grid, char* out) {
  const auto levels = ChosenLoops().levels;
  const int64_t sample = channels * pixels;
#pragma omp parallel for if (batch > 1 && batch * sample >= kLeastForThreads)
  for (int64_t n = 0; n < batch; ++n) {
    levels(in + n * sample, 1, channels, pixels, grid, out + n * sample);
  }
}

const char* VectorLoopIsa() { return ChosenLoops().isa; }

}  // namespace lathe
