// Products of packed matrices and rows, as recurrent layers need them. For one
// source file that is compiled for several instruction sets.
#ifndef LATHE_EVALUATOR_RECURRENT_PRODUCTS_H_
#define LATHE_EVALUATOR_RECURRENT_PRODUCTS_H_

#include <cstdint>
#include <utility>

#include "evaluator/vector_math.h"

namespace lathe {

// Rows of a matrix are taken by so many vectors: a panel.
constexpr int64_t kPanelVectors = 4;

// A matrix with the bias in front of its columns, panel by panel: of each
// column of a panel its rows.
struct PackedMatrix {
  const float* data = nullptr;
  int64_t rows = 0;  // A multiple of kWidth.
  int64_t columns = 0;

  int64_t Size() const { return (1 + columns) * rows; }
};

template <size_t... kV>
[[gnu::always_inline]] inline void LoadRow(const float* from, Floats* row,
                                           std::index_sequence<kV...>) {
  (Load(from + kV * kWidth, row[kV]), ...);
}
template <size_t... kV>
[[gnu::always_inline]] inline void StoreRow(const Floats* row, float* to,
                                            std::index_sequence<kV...>) {
  (Store(row[kV], to + kV * kWidth), ...);
}
// sums += number * row.
template <size_t... kV>
[[gnu::always_inline]] inline void AddRow(const Floats* row, float number,
                                          Floats* sums,
                                          std::index_sequence<kV...>) {
  ((sums[kV] += row[kV] * number), ...);
}

// Rows of numbers at equal distances.
struct FactorRows {
  const float* first = nullptr;
  int64_t stride = 0;

  const float* At(int64_t i) const { return first + i * stride; }
};
struct ResultRows {
  float* first = nullptr;
  int64_t stride = 0;

  float* At(int64_t i) const { return first + i * stride; }
};

// One panel times several rows of `in`: what is read of the panel serves all.
// Constant indices keep the sums in registers.
template <typename Vectors, size_t... kS>
[[gnu::always_inline]] inline void MultiplyTile(const float* panel,
                                                int64_t columns,
                                                const FactorRows& in,
                                                const ResultRows& out,
                                                std::index_sequence<kS...>) {
  constexpr Vectors kVectors{};
  Floats weights[kVectors.size()];
  Floats sums[sizeof...(kS)][kVectors.size()];
  (LoadRow(panel, sums[kS], kVectors), ...);
  const float* const rows[] = {in.At(kS)...};
  for (int64_t c = 0; c < columns; ++c) {
    panel += kVectors.size() * kWidth;
    LoadRow(panel, weights, kVectors);
    (AddRow(weights, rows[kS][c], sums[kS], kVectors), ...);
  }
  (StoreRow(sums[kS], out.At(kS), kVectors), ...);
}

// Two panels times one row: one alone would wait for its own sums.
template <typename Vectors>
[[gnu::always_inline]] inline void MultiplyPair(const float* panel,
                                                int64_t columns,
                                                const float* in, float* out) {
  constexpr Vectors kVectors{};
  constexpr int64_t kSize = kVectors.size() * kWidth;
  const float* second = panel + (1 + columns) * kSize;
  Floats weights[kVectors.size()];
  Floats sums[2][kVectors.size()];
  LoadRow(panel, sums[0], kVectors);
  LoadRow(second, sums[1], kVectors);
  for (int64_t c = 0; c < columns; ++c) {
    panel += kSize;
    second += kSize;
    LoadRow(panel, weights, kVectors);
    AddRow(weights, in[c], sums[0], kVectors);
    LoadRow(second, weights, kVectors);
    AddRow(weights, in[c], sums[1], kVectors);
  }
  StoreRow(sums[0], out, kVectors);
  StoreRow(sums[1], out + kSize, kVectors);
}

// One panel times `count` rows, `kMost` at a time.
template <typename Vectors, size_t kMost>
[[gnu::always_inline]] inline void MultiplyPanel(const float* panel,
                                                 int64_t columns, int64_t count,
                                                 const FactorRows& in,
                                                 const ResultRows& out) {
  int64_t n = 0;
  for (; n + static_cast<int64_t>(kMost) <= count; n += kMost) {
    MultiplyTile<Vectors>(panel, columns, {in.At(n), in.stride},
                          {out.At(n), out.stride},
                          std::make_index_sequence<kMost>());
  }
  for (; n + 2 <= count; n += 2) {
    MultiplyTile<Vectors>(panel, columns, {in.At(n), in.stride},
                          {out.At(n), out.stride},
                          std::make_index_sequence<2>());
  }
  if (n < count) {
    MultiplyTile<Vectors>(panel, columns, {in.At(n), in.stride},
                          {out.At(n), out.stride},
                          std::make_index_sequence<1>());
  }
}

// out[i] = bias + matrix * in[i] for `count` rows.
template <size_t kMost>
[[gnu::always_inline]] inline void Multiply(const PackedMatrix& matrix,
                                            int64_t count, const FactorRows& in,
                                            const ResultRows& out) {
  using Whole = std::make_index_sequence<kPanelVectors>;
  constexpr int64_t kPanel = kPanelVectors * kWidth;
  const int64_t columns = matrix.columns;
  int64_t r = 0;
  for (; count == 1 && r + 2 * kPanel <= matrix.rows; r += 2 * kPanel) {
    MultiplyPair<Whole>(matrix.data + r * (1 + columns), columns, in.first,
                        out.first + r);
  }
  for (; r + kPanel <= matrix.rows; r += kPanel) {
    MultiplyPanel<Whole, kMost>(matrix.data + r * (1 + columns), columns, count,
                                in, {out.first + r, out.stride});
  }
  for (; r < matrix.rows; r += kWidth) {
    MultiplyPanel<std::index_sequence<0>, kMost>(
        matrix.data + r * (1 + columns), columns, count, in,
        {out.first + r, out.stride});
  }
}

}  // namespace lathe

#endif  // LATHE_EVALUATOR_RECURRENT_PRODUCTS_H_
