// Gemm and MatMul.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/matmul_shapes.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

Matrix MakeMatrix(const float* data, int64_t rows, int64_t columns,
                  bool is_transposed) {
  if (is_transposed) return {data, columns, rows, 1, columns};
  return {data, rows, columns, columns, 1};
}

bool IsTransposed(const OpCall& call, const char* attribute) {
  return call.node().IntOr(attribute, 0) != 0;
}

absl::StatusOr<Values> GemmRule(const OpCall& call) {
  if (call.Rank(0) != 2 || call.Rank(1) != 2) {
    return call.Invalid(absl::StrCat(
        "inputs of shapes ", ShapeToString(call.ShapeOf(0)), " and ",
        ShapeToString(call.ShapeOf(1)), " are not both matrices"));
  }
  Shape a = call.ShapeOf(0);
  Shape b = call.ShapeOf(1);
  if (IsTransposed(call, "transA")) std::swap(a[0], a[1]);
  if (IsTransposed(call, "transB")) std::swap(b[0], b[1]);
  if (a[1] != b[0]) {
    return call.Invalid(absl::StrCat("matrices ", ShapeToString(a), " and ",
                                     ShapeToString(b), " do not fit"));
  }
  const Shape out = {a[0], b[1]};
  if (call.Has(2)) {
    LATHE_ASSIGN_OR_RETURN(const Shape common,
                           BroadcastShapes(call, call.ShapeOf(2), out));
    if (common != out) {
      return call.Invalid(absl::StrCat("bias of shape ",
                                       ShapeToString(call.ShapeOf(2)),
                                       " does not fit ", ShapeToString(out)));
    }
  }
  return Values{{DataType::kFloat32, out}};
}

absl::StatusOr<Tensors> GemmKernel(const OpCall& call, const Values& outputs) {
  const Shape& a = call.ShapeOf(0);
  const Shape& b = call.ShapeOf(1);
  TensorBuilder<float> out(outputs[0]);
  MultiplyMatrices(MakeMatrix(call.ValuesOf<float>(0).data(), a[0], a[1],
                              IsTransposed(call, "transA")),
                   MakeMatrix(call.ValuesOf<float>(1).data(), b[0], b[1],
                              IsTransposed(call, "transB")),
                   out.data());
  const float alpha = call.node().FloatOr("alpha", 1);
  const float beta = call.node().FloatOr("beta", 1);
  if (alpha != 1) {
    for (int64_t i = 0; i < out.size(); ++i) out.data()[i] *= alpha;
  }
  if (call.Has(2)) {
    const auto bias = call.ValuesOf<float>(2);
    WalkStrided<1>(outputs[0].shape,
                   {BroadcastStrides(call.ShapeOf(2), outputs[0].shape)},
                   [&](int64_t i, const std::array<int64_t, 1>& at) {
                     out.data()[i] += beta * bias[at[0]];
                   });
  }
  return Only(std::move(out).Build());
}

absl::StatusOr<Values> MatMulRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(MatMulShapes shapes, ResolveMatMul(call, 0, 1));
  return Values{{DataType::kFloat32, std::move(shapes.out)}};
}

absl::StatusOr<Tensors> MatMulKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const MatMulShapes shapes, ResolveMatMul(call, 0, 1));
  TensorBuilder<float> out(outputs[0]);
  MultiplyBatches(shapes, call.ValuesOf<float>(0).data(),
                  call.ValuesOf<float>(1).data(), out.data());
  return Only(std::move(out).Build());
}

}  // namespace

absl::StatusOr<MatMulShapes> ResolveMatMul(const OpCall& call, int left,
                                           int right) {
  MatMulShapes shapes{call.ShapeOf(left), call.ShapeOf(right), {}, {}};
  if (shapes.a.empty() || shapes.b.empty()) {
    return call.Invalid("an input is a scalar");
  }
  const bool is_row = shapes.a.size() == 1;
  const bool is_column = shapes.b.size() == 1;
  if (is_row) shapes.a.insert(shapes.a.begin(), 1);
  if (is_column) shapes.b.push_back(1);
  const Shape& a = shapes.a;
  const Shape& b = shapes.b;
  if (a.back() != b[b.size() - 2]) {
    return call.Invalid(
        absl::StrCat("matrices ", ShapeToString(call.ShapeOf(left)), " and ",
                     ShapeToString(call.ShapeOf(right)), " do not fit"));
  }
  LATHE_ASSIGN_OR_RETURN(
      shapes.batch,
      BroadcastShapes(call, absl::MakeConstSpan(a).first(a.size() - 2),
                      absl::MakeConstSpan(b).first(b.size() - 2)));
  shapes.out = shapes.batch;
  if (!is_row) shapes.out.push_back(a[a.size() - 2]);
  if (!is_column) shapes.out.push_back(b.back());
  return shapes;
}

absl::Span<const OperatorDef> MatMulOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Gemm", 2, 3, OpTypes::kFloat32, GemmRule, GemmKernel, true},
      {"MatMul", 2, 2, OpTypes::kFloat32, MatMulRule, MatMulKernel, true},
  };
  return kOperators;
}

}  // namespace lathe
