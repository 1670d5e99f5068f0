// What MatMul and its integer kin multiply. Private to the compressor.
#ifndef LATHE_COMPRESSOR_MATMUL_SHAPES_H_
#define LATHE_COMPRESSOR_MATMUL_SHAPES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/plain_sums.h"

namespace lathe {

// The operands with vectors made matrices, and the batch dimensions.
struct MatMulShapes {
  Shape a;
  Shape b;
  Shape batch;
  Shape out;

  int64_t Rows() const { return a[a.size() - 2]; }
  int64_t Inner() const { return a.back(); }
  int64_t Columns() const { return b.back(); }
};

// Errors: InvalidArgument - inputs `a` and `b` do not fit.
absl::StatusOr<MatMulShapes> ResolveMatMul(const OpCall& call, int a, int b);

// out = a x b for every index of the batch; Out as of MultiplyMatrices.
template <typename Out>
void MultiplyBatches(const MatMulShapes& shapes, const float* a, const float* b,
                     Out* out) {
  const int64_t rows = shapes.Rows();
  const int64_t inner = shapes.Inner();
  const int64_t columns = shapes.Columns();
  const auto strides = [&](const Shape& shape) {
    return BroadcastStrides(absl::MakeConstSpan(shape).first(shape.size() - 2),
                            shapes.batch);
  };
  WalkStrided<2>(
      shapes.batch, {strides(shapes.a), strides(shapes.b)},
      [&](int64_t i, const std::array<int64_t, 2>& at) {
        MultiplyMatrices(
            {a + at[0] * rows * inner, rows, inner, inner, 1},
            {b + at[1] * inner * columns, inner, columns, columns, 1},
            out + i * rows * columns);
      });
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_MATMUL_SHAPES_H_
