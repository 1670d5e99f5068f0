// One function per family of operators. Each adds the steps of `node` to the
// program and returns true; or false, or Unimplemented, where the plain loop of
// EvaluateNode has to do instead.
#ifndef LATHE_EVALUATOR_LOWER_OPS_H_
#define LATHE_EVALUATOR_LOWER_OPS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/window.h"
#include "evaluator/lowering_context.h"

namespace lathe {

using LowerFunction = absl::StatusOr<bool> (*)(LoweringContext& context,
                                               const Node& node);

// With constant weights: LowerWeighted.
absl::StatusOr<bool> LowerConv(LoweringContext& context, const Node& node);
// In float32.
absl::StatusOr<bool> LowerConvTranspose(LoweringContext& context,
                                        const Node& node);
// The same by a convolution of the input; false where none does it, or not
// quicker.
absl::StatusOr<bool> LowerTransposedAsConvolution(
    LoweringContext& context, const Node& node, const Tensor& weights,
    const std::vector<float>& bias, const Window& window);
absl::StatusOr<bool> LowerGemm(LoweringContext& context, const Node& node);
// Constant second factor: LowerWeighted; else oneDNN's matmul.
// `node` may have what NodeGroup::node may have.
absl::StatusOr<bool> LowerMatMul(LoweringContext& context, const Node& node);

absl::StatusOr<bool> LowerWhere(LoweringContext& context, const Node& node);
// Einsum of two values that is a product of matrices.
absl::StatusOr<bool> LowerEinsum(LoweringContext& context, const Node& node);

// Attention without past keys.
absl::StatusOr<bool> LowerAttention(LoweringContext& context, const Node& node);

// LSTM, GRU and RNN with constant weights.
absl::StatusOr<bool> LowerRecurrent(LoweringContext& context, const Node& node);

// MaxPool, GlobalMaxPool, AveragePool, GlobalAveragePool.
absl::StatusOr<bool> LowerPool(LoweringContext& context, const Node& node);
// A node that makes one number of each plane, whatever its name.
absl::StatusOr<bool> LowerGlobalPool(LoweringContext& context, const Node& node,
                                     bool is_average);

absl::StatusOr<bool> LowerCumSum(LoweringContext& context, const Node& node);
// ReduceSum, ReduceMean, ... over neighbouring axes.
absl::StatusOr<bool> LowerReduce(LoweringContext& context, const Node& node);
// LayerNormalization, RMSNormalization.
absl::StatusOr<bool> LowerRowNormalization(LoweringContext& context,
                                           const Node& node);
// InstanceNormalization, GroupNormalization.
absl::StatusOr<bool> LowerGroupNormalization(LoweringContext& context,
                                             const Node& node);
absl::StatusOr<bool> LowerLrn(LoweringContext& context, const Node& node);
// Resize, Upsample.
absl::StatusOr<bool> LowerResize(LoweringContext& context, const Node& node);

// Relu, Sigmoid, ...
absl::StatusOr<bool> LowerUnary(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerPRelu(LoweringContext& context, const Node& node);
// Add, Sub, Mul, Div, Max, Min of two values.
absl::StatusOr<bool> LowerBinary(LoweringContext& context, const Node& node);
// Whether LowerSmallArithmetic may do `node`.
bool IsSmallArithmetic(const LoweringContext& context, const Node& node);
// The same of few numbers, which lie in any order: as a loop.
absl::StatusOr<bool> LowerSmallArithmetic(LoweringContext& context,
                                          const Node& node);
// The same of float32 values broadcast in any way, as a loop.
absl::StatusOr<bool> LowerBroadcast(LoweringContext& context, const Node& node);
// Softmax, LogSoftmax.
absl::StatusOr<bool> LowerSoftmax(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerLayerNormalization(LoweringContext& context,
                                             const Node& node);

// Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout: no step at all
// where the elements lie in row-major order.
absl::StatusOr<bool> LowerReshape(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerTranspose(LoweringContext& context, const Node& node);
// Data move in the encoding and the order of dimensions that they lie in.
absl::StatusOr<bool> LowerConcat(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerGather(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerSlice(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerSplit(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerSpaceToDepth(LoweringContext& context,
                                       const Node& node);
absl::StatusOr<bool> LowerDepthToSpace(LoweringContext& context,
                                       const Node& node);
absl::StatusOr<bool> LowerExpand(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerTile(LoweringContext& context, const Node& node);
absl::StatusOr<bool> LowerPad(LoweringContext& context, const Node& node);
// In the modes that repeat what the input has.
absl::StatusOr<bool> LowerPadByPlaces(LoweringContext& context,
                                      const Node& node);

// Any operator, by EvaluateNode on float32.
//
// Errors: Unimplemented - EvaluateNode does not know it either.
absl::Status LowerReference(LoweringContext& context, const Node& node);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWER_OPS_H_
