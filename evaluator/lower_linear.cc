// Conv, Gemm and MatMul.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/status.h"
#include "compressor/window.h"
#include "evaluator/activations.h"
#include "evaluator/epilogue.h"
#include "evaluator/group_merging.h"
#include "evaluator/lower_ops.h"
#include "evaluator/lower_weighted.h"
#include "evaluator/node_groups.h"
#include "evaluator/quickest_convolution.h"

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

// ONNX has [in, out / groups, kernel...].
void FillTransposedWeights(const Shape& weights, int64_t groups,
                           WeightedNode* weighted) {
  std::vector<int64_t> strides = RowMajorStrides(weights);
  Shape shape = weights;
  std::swap(shape[0], shape[1]);
  std::swap(strides[0], strides[1]);
  if (groups > 1) {
    shape[1] /= groups;
    shape.insert(shape.begin(), groups);
    strides.insert(strides.begin(), shape[2] * strides[1]);
  }
  weighted->weights_shape = shape;
  weighted->weights_strides = strides;
}

// What oneDNN calls the padding at the ends; negative where there are numbers
// behind what the last input place is spread over.
std::vector<int64_t> WhatIsCutOff(const Window& window) {
  std::vector<int64_t> ends;
  for (size_t d = 0; d < window.in.size(); ++d) {
    const int64_t reach = (window.kernel[d] - 1) * window.dilations[d] + 1;
    ends.push_back((window.in[d] - 1) * window.strides[d] + reach -
                   window.pads_begin[d] - window.out[d]);
  }
  return ends;
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

// A product of two activations on the way to its kernel.
class ProductLowering {
 public:
  ProductLowering(LoweringContext& context, const Node& node)
      : context_(context), node_(node) {
    const float scale = node.FloatOr(kProductScale, 1);
    if (scale != 1) ops_ = {LinearOp(scale, 0)};
    if (node.precision == v1::BF16) encoding_.type = DataType::kBfloat16;
  }

  absl::StatusOr<bool> Run() {
    if (encoding_.type == DataType::kBfloat16) {
      const auto kernel = MakePlain();
      if (!kernel.ok() || IsReferenceImplementation(kernel->implementation)) {
        encoding_ = FloatEncoding();
      }
    }
    LATHE_ASSIGN_OR_RETURN(Kernel kernel, MakePlain());
    std::vector<MemoryDesc> descs = {Plain(node_.inputs[0]),
                                     Plain(node_.inputs[1])};
    LATHE_RETURN_IF_ERROR(UseLayoutsAsTheyAre(&kernel, &descs));
    LATHE_ASSIGN_OR_RETURN(
        const Copy a, context_.Fetch(node_.inputs[0], encoding_, descs[0]));
    LATHE_ASSIGN_OR_RETURN(
        const Copy b, context_.Fetch(node_.inputs[1], encoding_, descs[1]));
    const Copy c = context_.NewCopy(encoding_, Plain(node_.outputs[0]));
    LATHE_RETURN_IF_ERROR(
        context_.AddKernel("matmul", kernel,
                           {Reads(DNNL_ARG_SRC, a, kernel.source),
                            Reads(DNNL_ARG_WEIGHTS, b, kernel.weights),
                            Writes(DNNL_ARG_DST, c, kernel.destination)}));
    context_.Define(node_.outputs[0], c);
    return true;
  }

 private:
  MemoryDesc Plain(ValueId value) const {
    return PlainDesc(context_.shape(value), encoding_.type);
  }
  // With leading ones.
  MemoryDesc Aligned(ValueId value) const {
    const size_t rank = context_.shape(node_.outputs[0]).size();
    return PlainDesc(AlignedTo(rank, context_.shape(value)), encoding_.type);
  }
  absl::StatusOr<Kernel> MakePlain() const {
    return MakeMatMul(Aligned(node_.inputs[0]), Aligned(node_.inputs[1]),
                      Aligned(node_.outputs[0]), ops_);
  }

  // Transposed factors cost no copy where a kernel as good reads them.
  absl::Status UseLayoutsAsTheyAre(Kernel* kernel,
                                   std::vector<MemoryDesc>* descs) {
    const size_t rank = context_.shape(node_.outputs[0]).size();
    std::vector<MemoryDesc> stored;
    for (ValueId value : {node_.inputs[0], node_.inputs[1]}) {
      if (context_.shape(value).size() != rank) return absl::OkStatus();
      LATHE_ASSIGN_OR_RETURN(const Copy copy, context_.Stored(value));
      const auto layout = DescribeLayout(copy.desc);
      const bool is_usable =
          copy.encoding == encoding_ && layout && layout->channel_block == 1;
      stored.push_back(is_usable ? copy.desc : Plain(value));
    }
    const auto strided =
        MakeMatMul(stored[0], stored[1], Aligned(node_.outputs[0]), ops_);
    if (!strided.ok() || strided->implementation != kernel->implementation) {
      return absl::OkStatus();
    }
    *kernel = *strided;
    *descs = stored;
    return absl::OkStatus();
  }

  LoweringContext& context_;
  const Node& node_;
  std::vector<FusedOp> ops_;
  Encoding encoding_ = FloatEncoding();
};

absl::StatusOr<bool> LowerActivationMatMul(LoweringContext& context,
                                           const Node& node) {
  if (context.shape(node.inputs[0]).size() < 2 ||
      context.shape(node.inputs[1]).size() < 2 || !node.post_ops.empty()) {
    return false;
  }
  return ProductLowering(context, node).Run();
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
  if (weighted.weights_shape.size() > in.size()) {
    weighted.merged_groups =
        GroupsToMerge({AnyDesc(in, DataType::kFloat32),
                       {},
                       AnyDesc(weighted.destination_shape, DataType::kFloat32),
                       false,
                       window.strides,
                       window.dilations,
                       window.pads_begin,
                       window.pads_end},
                      weighted.weights_shape);
  }
  weighted.make = [&](const MemoryDesc& source, const MemoryDesc& weights,
                      const MemoryDesc& destination, bool has_bias,
                      const Attributes& attributes) {
    const ConvolutionSpec spec = {
        source,         weights,          destination,       has_bias,
        window.strides, window.dilations, window.pads_begin, window.pads_end};
    const bool is_measured = context.options().measures_kernels &&
                             DescType(weights) == DataType::kInt8;
    return is_measured ? QuickestConvolution(spec, attributes)
                       : MakeConvolution(spec, attributes);
  };
  LATHE_RETURN_IF_ERROR(LowerWeighted(context, node, weighted));
  return true;
}

absl::StatusOr<bool> LowerConvTranspose(LoweringContext& context,
                                        const Node& node) {
  const Tensor* weights = FloatConstant(context, InputOr(node, 1));
  const ValueId bias = InputOr(node, 2);
  if (weights == nullptr ||
      (bias != kNoValue && FloatConstant(context, bias) == nullptr)) {
    return false;
  }
  WeightedNode weighted;
  weighted.kind = "conv_transpose";
  weighted.source = node.inputs[0];
  weighted.source_shape = context.shape(node.inputs[0]);
  weighted.destination_shape = context.shape(node.outputs[0]);
  weighted.weights = weights;
  weighted.channels = weighted.destination_shape[1];
  FillTransposedWeights(weights->shape(), node.IntOr("group", 1), &weighted);
  if (bias != kNoValue) {
    const auto values = FloatConstant(context, bias)->values<float>();
    weighted.bias.assign(values.begin(), values.end());
  }
  LATHE_ASSIGN_OR_RETURN(
      const Window window,
      ResolveTransposedWindow(
          node, absl::MakeConstSpan(weighted.source_shape).subspan(2),
          absl::MakeConstSpan(weights->shape()).subspan(2)));
  const auto as_convolution = LowerTransposedAsConvolution(
      context, node, *weights, weighted.bias, window);
  if (as_convolution.ok() && *as_convolution) return true;
  weighted.make = [&](const MemoryDesc& source, const MemoryDesc& weights,
                      const MemoryDesc& destination, bool has_bias,
                      const Attributes& attributes) {
    return MakeDeconvolution(
        {source, weights, destination, has_bias, window.strides,
         window.dilations, window.pads_begin, WhatIsCutOff(window)},
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
  // Of a group of nodes.
  if (const Tensor* bias = FloatConstant(context, InputOr(node, 2))) {
    const auto values = bias->values<float>();
    weighted.bias.assign(values.begin(), values.end());
  }
  LATHE_RETURN_IF_ERROR(LowerWeighted(context, node, weighted));
  return true;
}

}  // namespace lathe
