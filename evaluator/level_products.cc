#include "evaluator/level_products.h"

#include <algorithm>
#include <cstring>
#include <optional>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "compressor/dynamic_grid.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

constexpr int64_t kRows = 16;
constexpr int64_t kColumns = 4;
constexpr int64_t kBlockBytes = kRows * kColumns;

void MultiplyPlain(const uint8_t* source, const LevelsView& levels,
                   int32_t* out) {
  const int8_t* at = levels.bytes;
  for (int64_t b = 0; b < levels.blocks; ++b, out += kRows) {
    std::fill_n(out, kRows, 0);
    for (int64_t g = 0; g < levels.groups; ++g, at += kBlockBytes) {
      const uint8_t* x = source + g * kColumns;
      for (int64_t r = 0; r < kRows; ++r) {
        const int8_t* w = at + r * kColumns;
        out[r] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
      }
    }
  }
}

#if defined(__x86_64__)

#define LATHE_VNNI \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

// kBlocks blocks at a time: one alone would wait for its own sums.
template <int kBlocks>
LATHE_VNNI inline void MultiplyBlocks(const uint8_t* source,
                                      const int8_t* levels, int64_t groups,
                                      int32_t* out) {
  __m512i sums[kBlocks];
  for (int b = 0; b < kBlocks; ++b) sums[b] = _mm512_setzero_si512();
  const int64_t stride = groups * kBlockBytes;
  for (int64_t g = 0; g < groups; ++g) {
    int32_t four = 0;
    std::memcpy(&four, source + g * kColumns, sizeof(four));
    const __m512i x = _mm512_set1_epi32(four);
    for (int b = 0; b < kBlocks; ++b) {
      const __m512i w =
          _mm512_loadu_si512(levels + b * stride + g * kBlockBytes);
      sums[b] = _mm512_dpbusd_epi32(sums[b], x, w);
    }
  }
  for (int b = 0; b < kBlocks; ++b) {
    _mm512_storeu_si512(out + b * kRows, sums[b]);
  }
}

LATHE_VNNI void MultiplyVnni(const uint8_t* source, const LevelsView& levels,
                             int32_t* out) {
  const int64_t stride = levels.groups * kBlockBytes;
  int64_t block = 0;
  for (; block + 8 <= levels.blocks; block += 8) {
    MultiplyBlocks<8>(source, levels.bytes + block * stride, levels.groups,
                      out + block * kRows);
  }
  if (block + 4 <= levels.blocks) {
    MultiplyBlocks<4>(source, levels.bytes + block * stride, levels.groups,
                      out + block * kRows);
    block += 4;
  }
  if (block + 2 <= levels.blocks) {
    MultiplyBlocks<2>(source, levels.bytes + block * stride, levels.groups,
                      out + block * kRows);
    block += 2;
  }
  if (block < levels.blocks) {
    MultiplyBlocks<1>(source, levels.bytes + block * stride, levels.groups,
                      out + block * kRows);
  }
}

bool HasVnni() {
  return __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

decltype(&MultiplyPlain) Choose() {
  return HasVnni() ? MultiplyVnni : MultiplyPlain;
}

#else

bool HasVnni() { return false; }
decltype(&MultiplyPlain) Choose() { return MultiplyPlain; }

#endif

}  // namespace

PackedLevels::PackedLevels(const int8_t* levels, int64_t rows, int64_t columns,
                           int64_t row_stride, int64_t column_stride)
    : blocks_((rows + kRows - 1) / kRows),
      groups_((columns + kColumns - 1) / kColumns),
      bytes_(blocks_ * groups_ * kBlockBytes, 0),
      row_sums_(rows, 0) {
  for (int64_t r = 0; r < rows; ++r) {
    int8_t* block = bytes_.data() + r / kRows * groups_ * kBlockBytes;
    for (int64_t c = 0; c < columns; ++c) {
      const int8_t level = levels[r * row_stride + c * column_stride];
      block[c / kColumns * kBlockBytes + r % kRows * kColumns + c % kColumns] =
          level;
      row_sums_[r] += level;
    }
  }
}

void MultiplyLevels(const uint8_t* source, const LevelsView& levels,
                    int32_t* out) {
  static const auto multiply = Choose();
  multiply(source, levels, out);
}

bool HasLevelProducts() {
  static const bool has_vnni = HasVnni();
  return has_vnni;
}

void TakeLevels(const float* in, int64_t size, const OwnLevels& grid,
                uint8_t* out) {
  ConvertNumbers(reinterpret_cast<const char*>(in), /*from=*/std::nullopt, size,
                 ByteGrid{grid.scale, grid.zero_point, /*least=*/0},
                 reinterpret_cast<char*>(out));
}

OwnLevels OwnLevelsOf(float least, float most) {
  const ActivationGrid grid = DynamicGrid(least, most);
  return {grid.scale, grid.zero_point};
}

OwnLevels TakeOwnLevels(const float* in, int64_t size, uint8_t* out) {
  const NumberRange range = RangeOfNumbers(in, size);
  const OwnLevels own = OwnLevelsOf(range.least, range.most);
  TakeLevels(in, size, own, out);
  return own;
}

}  // namespace lathe
