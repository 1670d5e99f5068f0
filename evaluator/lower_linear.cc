// Conv, Gemm and MatMul.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/status.h"
#include "compressor/window.h"
#include "evaluator/lower_ops.h"
#include "evaluator/lower_weighted.h"

namespace lathe {
namespace {

const Tensor* FloatConstant(const LoweringContext& context, ValueId value) {
  const Tensor* tensor = context.constant(value);
  if (tensor == nullptr || tensor->type() != DataType::kFloat32) return nullptr;
  return tensor;
}

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * shape[d + 1];
  }
  return strides;
}

// Inputs beyond the last one that the node has count as left out.
ValueId InputOr(const Node& node, size_t index) {
  const bool is_there = index < static_cast<size_t>(node.OperatorInputs());
  return is_there ? node.inputs[index] : kNoValue;
}

bool ReachesOverBorder(const Window& window) {
  const auto is_positive = [](int64_t pad) { return pad > 0; };
  return std::any_of(window.pads_begin.begin(), window.pads_begin.end(),
                     is_positive) ||
         std::any_of(window.pads_end.begin(), window.pads_end.end(),
                     is_positive);
}

void FillConvShapes(const Shape& weights, int64_t groups,
                    WeightedNode* weighted) {
  weighted->weights_shape = weights;
  if (groups > 1) {
    weighted->weights_shape[0] /= groups;
    weighted->weights_shape.insert(weighted->weights_shape.begin(), groups);
  }
  weighted->weights_strides = RowMajorStrides(weighted->weights_shape);
  weighted->channels = weights[0];
  weighted->elements_per_channel = ElementCount(weights) / weights[0];
  weighted->channel_stride = weighted->elements_per_channel;
  weighted->element_stride = 1;
}

// [M, K] x [K, N], or [N, K] when transposed, as an inner product.
void FillLinearShapes(const Shape& weights, bool is_transposed, int64_t rows,
                      WeightedNode* weighted) {
  const int64_t in = weights[is_transposed ? 1 : 0];
  const int64_t out = weights[is_transposed ? 0 : 1];
  weighted->is_flat = true;
  weighted->source_shape = {rows, in};
  weighted->destination_shape = {rows, out};
  weighted->weights_shape = {out, in};
  weighted->channels = out;
  weighted->elements_per_channel = in;
  weighted->channel_stride = is_transposed ? in : 1;
  weighted->element_stride = is_transposed ? 1 : out;
  weighted->weights_strides = {weighted->channel_stride,
                               weighted->element_stride};
  weighted->make = [](const MemoryDesc& source, const MemoryDesc& weights,
                      const MemoryDesc& destination, bool has_bias,
                      const Attributes& attributes) {
    return MakeInnerProduct({source, weights, destination, has_bias},
                            attributes);
  };
}

// The bias of a Gemm by output feature; none where it differs by row.
std::optional<std::vector<float>> GemmBias(const Tensor& tensor,
                                           int64_t channels, float beta) {
  const auto values = tensor.values<float>();
  const int64_t size = tensor.size();
  const bool is_row =
      size == 1 || (size == channels && !tensor.shape().empty() &&
                    tensor.shape().back() == channels);
  if (!is_row) return std::nullopt;
  std::vector<float> bias(channels);
  for (int64_t c = 0; c < channels; ++c) {
    bias[c] = beta * values[size == 1 ? 0 : c];
  }
  return bias;
}

Shape AlignedTo(size_t rank, Shape shape) {
  if (shape.size() < rank) shape.insert(shape.begin(), rank - shape.size(), 1);
  return shape;
}

absl::StatusOr<bool> LowerActivationMatMul(LoweringContext& context,
                                           const Node& node) {
  const ValueId output = node.outputs[0];
  const size_t rank = context.shape(output).size();
  const Shape& left = context.shape(node.inputs[0]);
  const Shape& right = context.shape(node.inputs[1]);
  if (left.size() < 2 || right.size() < 2 || !node.post_ops.empty()) {
    return false;
  }
  Encoding encoding = FloatEncoding();
  if (node.precision == v1::BF16) encoding.type = DataType::kBfloat16;
  const auto plain = [&](const Shape& shape, const Encoding& as) {
    return PlainDesc(AlignedTo(rank, shape), as.type);
  };
  auto kernel = MakeMatMul(plain(left, encoding), plain(right, encoding),
                           plain(context.shape(output), encoding));
  if (!kernel.ok() || IsReferenceImplementation(kernel->implementation)) {
    encoding = FloatEncoding();
    LATHE_ASSIGN_OR_RETURN(
        kernel, MakeMatMul(plain(left, encoding), plain(right, encoding),
                           plain(context.shape(output), encoding)));
  }
  LATHE_ASSIGN_OR_RETURN(
      const Copy a,
      context.Fetch(node.inputs[0], encoding, PlainDesc(left, encoding.type)));
  LATHE_ASSIGN_OR_RETURN(
      const Copy b,
      context.Fetch(node.inputs[1], encoding, PlainDesc(right, encoding.type)));
  const Copy c = context.NewCopy(
      encoding, PlainDesc(context.shape(output), encoding.type));
  LATHE_RETURN_IF_ERROR(
      context.AddKernel("matmul", *kernel,
                        {Reads(DNNL_ARG_SRC, a, kernel->source),
                         Reads(DNNL_ARG_WEIGHTS, b, kernel->weights),
                         Writes(DNNL_ARG_DST, c, kernel->destination)}));
  context.Define(output, c);
  return true;
}

}  // namespace

absl::StatusOr<bool> LowerConv(LoweringContext& context, const Node& node) {
  const Tensor* weights = FloatConstant(context, InputOr(node, 1));
  if (weights == nullptr) return false;
  WeightedNode weighted;
  weighted.kind = "conv";
  weighted.source = node.inputs[0];
  weighted.source_shape = context.shape(node.inputs[0]);
  weighted.destination_shape = context.shape(node.outputs[0]);
  weighted.weights = weights;
  FillConvShapes(weights->shape(), node.IntOr("group", 1), &weighted);
  if (const ValueId value = InputOr(node, 2); value != kNoValue) {
    const Tensor* bias = FloatConstant(context, value);
    if (bias == nullptr) return false;
    const auto values = bias->values<float>();
    weighted.bias.assign(values.begin(), values.end());
  }
  const Shape& in = weighted.source_shape;
  const Shape& kernel = weights->shape();
  LATHE_ASSIGN_OR_RETURN(const Window window,
                         ResolveWindow(node, absl::MakeConstSpan(in).subspan(2),
                                       absl::MakeConstSpan(kernel).subspan(2)));
  weighted.is_padded = ReachesOverBorder(window);
  weighted.make = [&window](const MemoryDesc& source, const MemoryDesc& weights,
                            const MemoryDesc& destination, bool has_bias,
                            const Attributes& attributes) {
    return MakeConvolution(
        {source, weights, destination, has_bias, window.strides,
         window.dilations, window.pads_begin, window.pads_end},
        attributes);
  };
  LATHE_RETURN_IF_ERROR(LowerWeighted(context, node, weighted));
  return true;
}

absl::StatusOr<bool> LowerGemm(LoweringContext& context, const Node& node) {
  const Tensor* weights = FloatConstant(context, InputOr(node, 1));
  if (weights == nullptr || node.IntOr("transA", 0) != 0) return false;
  WeightedNode weighted;
  weighted.kind = "gemm";
  weighted.source = node.inputs[0];
  weighted.weights = weights;
  weighted.factor = node.FloatOr("alpha", 1);
  FillLinearShapes(weights->shape(), node.IntOr("transB", 0) != 0,
                   context.shape(node.inputs[0])[0], &weighted);
  if (const ValueId value = InputOr(node, 2); value != kNoValue) {
    const Tensor* bias = FloatConstant(context, value);
    if (bias == nullptr) return false;
    auto row = GemmBias(*bias, weighted.channels, node.FloatOr("beta", 1));
    if (!row) return false;
    weighted.bias = *std::move(row);
  }
  LATHE_RETURN_IF_ERROR(LowerWeighted(context, node, weighted));
  return true;
}

absl::StatusOr<bool> LowerMatMul(LoweringContext& context, const Node& node) {
  const Tensor* weights = FloatConstant(context, node.inputs[1]);
  const Shape& source = context.shape(node.inputs[0]);
  if (weights == nullptr || weights->shape().size() != 2 || source.size() < 2) {
    return LowerActivationMatMul(context, node);
  }
  WeightedNode weighted;
  weighted.kind = "gemm";
  weighted.source = node.inputs[0];
  weighted.weights = weights;
  FillLinearShapes(weights->shape(), /*is_transposed=*/false,
                   ElementCount(source) / source.back(), &weighted);
  LATHE_RETURN_IF_ERROR(LowerWeighted(context, node, weighted));
  return true;
}

}  // namespace lathe
