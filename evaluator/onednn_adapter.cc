#include "evaluator/onednn_adapter.h"

#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

using dnnl::algorithm;
using dnnl::prop_kind;
using Dims = dnnl::memory::dims;
using DnnlType = dnnl::memory::data_type;

Dims ToDims(absl::Span<const int64_t> values) {
  return Dims(values.begin(), values.end());
}

Dims ShapeDims(absl::Span<const int64_t> shape) {
  return shape.empty() ? Dims{1} : ToDims(shape);
}

// oneDNN counts the zeros between taps, ONNX the step.
Dims ZerosBetween(absl::Span<const int64_t> dilations) {
  Dims zeros = ToDims(dilations);
  for (auto& zero : zeros) zero -= 1;
  return zeros;
}

absl::Status StatusOf(const dnnl::error& error, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": oneDNN: ", error.what());
  switch (error.status) {
    case dnnl_out_of_memory:
      return absl::ResourceExhaustedError(message);
    case dnnl_unimplemented:
      return absl::UnimplementedError(message);
    case dnnl_invalid_arguments:
      return absl::InvalidArgumentError(message);
    default:
      return absl::InternalError(message);
  }
}

template <typename Primitive>
void Finish(const typename Primitive::primitive_desc& description,
            Kernel* kernel) {
  kernel->source = description.query_md(dnnl::query::src_md, 0);
  kernel->second_source = description.query_md(dnnl::query::src_md, 1);
  kernel->weights = description.query_md(dnnl::query::weights_md, 0);
  kernel->destination = description.query_md(dnnl::query::dst_md, 0);
  kernel->scratchpad = description.scratchpad_desc();
  kernel->implementation = description.impl_info_str();
  kernel->primitive = Primitive(description);
}

template <typename T>
ConstantArgument MakeConstant(int argument, absl::Span<const T> values) {
  ConstantArgument constant;
  constant.argument = argument;
  constant.desc = PlainDesc({static_cast<int64_t>(values.size())},
                            DataTypeOf<T>::value);
  constant.bytes.assign(reinterpret_cast<const char*>(values.data()),
                        values.size() * sizeof(T));
  return constant;
}

// ------------------------------------------------- what differs by version

#if DNNL_VERSION_MAJOR >= 3

struct Blocking {
  Dims strides;
  Dims inner_blocks;
  Dims inner_dims;
};

std::optional<Blocking> BlockingOf(const MemoryDesc& desc) {
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked) {
    return std::nullopt;
  }
  if (desc.get_submemory_offset() != 0) return std::nullopt;
  return Blocking{desc.get_strides(), desc.get_inner_blks(),
                  desc.get_inner_idxs()};
}

Dims DimsOf(const MemoryDesc& desc) { return desc.get_dims(); }

std::optional<MemoryDesc> Retyped(const MemoryDesc& desc, DnnlType type) {
  using Tag = dnnl::memory::format_tag;
  const DnnlType own_type = desc.get_data_type();
  for (Tag tag : {Tag::nCw16c, Tag::nCw8c, Tag::nChw16c, Tag::nChw8c,
                  Tag::nCdhw16c, Tag::nCdhw8c}) {
    const MemoryDesc tagged(desc.get_dims(), own_type, tag, true);
    if (tagged && tagged == desc) {
      return MemoryDesc(desc.get_dims(), type, tag);
    }
  }
  if (desc.get_inner_nblks() == 0) {
    return MemoryDesc(desc.get_dims(), type, desc.get_strides());
  }
  return std::nullopt;
}

void AppendEltwise(const FusedOp& op, dnnl::post_ops* ops) {
  const bool is_hardswish = op.algorithm == algorithm::eltwise_hardswish;
  ops->append_eltwise(op.algorithm, is_hardswish ? 1.f / 6 : op.alpha,
                      is_hardswish ? .5f : op.beta);
}

void SetScale(int argument, float scale, dnnl::primitive_attr* attr,
              Kernel* kernel) {
  if (scale == 1) return;
  attr->set_scales_mask(argument, 0);
  kernel->constants.push_back(
      MakeConstant<float>(DNNL_ARG_ATTR_SCALES | argument, {scale}));
}

void SetZeroPoint(int argument, int zero_point, dnnl::primitive_attr* attr,
                  Kernel* kernel) {
  if (zero_point == 0) return;
  attr->set_zero_points_mask(argument, 0);
  kernel->constants.push_back(MakeConstant<int32_t>(
      DNNL_ARG_ATTR_ZERO_POINTS | argument, {zero_point}));
}

// `weights_mask` selects the dimensions of the weights that make up the output
// channels.
void SetAccumulatorScales(absl::Span<const float> scales, int weights_mask,
                          dnnl::primitive_attr* attr, Kernel* kernel) {
  if (scales.empty()) return;
  attr->set_scales_mask(DNNL_ARG_WEIGHTS,
                        scales.size() == 1 ? 0 : weights_mask);
  kernel->constants.push_back(MakeConstant<float>(
      DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, scales));
}

void SetReorderScale(float scale, dnnl::primitive_attr* attr, Kernel* kernel) {
  SetScale(DNNL_ARG_SRC, scale, attr, kernel);
}

dnnl::convolution_forward::primitive_desc ConvolutionDesc(
    const ConvolutionSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          algorithm::convolution_direct,
          spec.source,
          spec.weights,
          bias,
          spec.destination,
          ToDims(spec.strides),
          ZerosBetween(spec.dilations),
          ToDims(spec.pads_begin),
          ToDims(spec.pads_end),
          attr};
}

dnnl::inner_product_forward::primitive_desc InnerProductDesc(
    const InnerProductSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, spec.source, spec.weights,
          bias,        spec.destination,             attr};
}

dnnl::matmul::primitive_desc MatMulDesc(const MemoryDesc& source,
                                        const MemoryDesc& weights,
                                        const MemoryDesc& destination,
                                        const dnnl::primitive_attr& attr) {
  return {CpuEngine(), source, weights, destination, attr};
}

using PoolingPrimitive = dnnl::pooling_forward;
PoolingPrimitive::primitive_desc PoolingDesc(const PoolingSpec& spec,
                                             const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          spec.algorithm,
          spec.source,
          spec.destination,
          ToDims(spec.strides),
          ToDims(spec.kernel),
          ZerosBetween(spec.dilations),
          ToDims(spec.pads_begin),
          ToDims(spec.pads_end),
          attr};
}

dnnl::eltwise_forward::primitive_desc EltwiseDesc(
    const FusedOp& op, const MemoryDesc& desc,
    const dnnl::primitive_attr& attr) {
  const bool is_hardswish = op.algorithm == algorithm::eltwise_hardswish;
  return {CpuEngine(),
          prop_kind::forward_inference,
          op.algorithm,
          desc,
          desc,
          is_hardswish ? 1.f / 6 : op.alpha,
          is_hardswish ? .5f : op.beta,
          attr};
}

using SoftmaxPrimitive = dnnl::softmax_forward;
SoftmaxPrimitive::primitive_desc SoftmaxDesc(const MemoryDesc& desc, int axis,
                                             algorithm kind,
                                             const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, kind, desc,
          desc,        axis,                         attr};
}

dnnl::layer_normalization_forward::primitive_desc LayerNormalizationDesc(
    const MemoryDesc& desc, float epsilon, dnnl::normalization_flags flags,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, desc, desc,
          epsilon,     flags,                        attr};
}

dnnl::binary::primitive_desc BinaryDesc(const BinarySpec& spec,
                                        const dnnl::primitive_attr& attr) {
  return {CpuEngine(),        spec.algorithm,   spec.source,
          spec.second_source, spec.destination, attr};
}

// The bias is added after the scales.
float BiasDivisor(float scale) { return 1; }

#else  // 2.x

struct Blocking {
  Dims strides;
  Dims inner_blocks;
  Dims inner_dims;
};

std::optional<Blocking> BlockingOf(const MemoryDesc& desc) {
  const dnnl_memory_desc_t& data = desc.data;
  if (data.format_kind != dnnl_blocked || data.offset0 != 0 ||
      data.extra.flags != 0) {
    return std::nullopt;
  }
  for (int d = 0; d < data.ndims; ++d) {
    if (data.padded_offsets[d] != 0) return std::nullopt;
  }
  const dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  const int blocks = blocking.inner_nblks;
  return Blocking{
      Dims(blocking.strides, blocking.strides + data.ndims),
      Dims(blocking.inner_blks, blocking.inner_blks + blocks),
      Dims(blocking.inner_idxs, blocking.inner_idxs + blocks)};
}

Dims DimsOf(const MemoryDesc& desc) { return desc.dims(); }

std::optional<MemoryDesc> Retyped(const MemoryDesc& desc, DnnlType type) {
  MemoryDesc retyped = desc;
  retyped.data.data_type = static_cast<dnnl_data_type_t>(type);
  return retyped;
}

void AppendEltwise(const FusedOp& op, dnnl::post_ops* ops) {
  ops->append_eltwise(1.f, op.algorithm, op.alpha, op.beta);
}

void SetScale(int argument, float scale, dnnl::primitive_attr* attr,
              Kernel* kernel) {
  if (scale != 1) attr->set_scales(argument, 0, {scale});
}

void SetZeroPoint(int argument, int zero_point, dnnl::primitive_attr* attr,
                  Kernel* kernel) {
  if (zero_point != 0) attr->set_zero_points(argument, 0, {zero_point});
}

void SetAccumulatorScales(absl::Span<const float> scales, int weights_mask,
                          dnnl::primitive_attr* attr, Kernel* kernel) {
  if (scales.empty()) return;
  // The output channel is dimension 1 of the destination.
  attr->set_output_scales(scales.size() == 1 ? 0 : 1 << 1,
                          std::vector<float>(scales.begin(), scales.end()));
}

void SetReorderScale(float scale, dnnl::primitive_attr* attr, Kernel* kernel) {
  if (scale != 1) attr->set_output_scales(0, {scale});
}

dnnl::convolution_forward::primitive_desc ConvolutionDesc(
    const ConvolutionSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, algorithm::convolution_direct,
           spec.source, spec.weights, bias, spec.destination,
           ToDims(spec.strides), ZerosBetween(spec.dilations),
           ToDims(spec.pads_begin), ToDims(spec.pads_end)},
          attr,
          CpuEngine()};
}

dnnl::inner_product_forward::primitive_desc InnerProductDesc(
    const InnerProductSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.source, spec.weights, bias,
           spec.destination},
          attr,
          CpuEngine()};
}

dnnl::matmul::primitive_desc MatMulDesc(const MemoryDesc& source,
                                        const MemoryDesc& weights,
                                        const MemoryDesc& destination,
                                        const dnnl::primitive_attr& attr) {
  return {{source, weights, destination}, attr, CpuEngine()};
}

using PoolingPrimitive = dnnl::pooling_v2_forward;
PoolingPrimitive::primitive_desc PoolingDesc(const PoolingSpec& spec,
                                             const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.algorithm, spec.source,
           spec.destination, ToDims(spec.strides), ToDims(spec.kernel),
           ZerosBetween(spec.dilations), ToDims(spec.pads_begin),
           ToDims(spec.pads_end)},
          attr,
          CpuEngine()};
}

dnnl::eltwise_forward::primitive_desc EltwiseDesc(
    const FusedOp& op, const MemoryDesc& desc,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, op.algorithm, desc, op.alpha, op.beta},
          attr,
          CpuEngine()};
}

using SoftmaxPrimitive = dnnl::softmax_v2_forward;
SoftmaxPrimitive::primitive_desc SoftmaxDesc(const MemoryDesc& desc, int axis,
                                             algorithm kind,
                                             const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, kind, desc, desc, axis},
          attr,
          CpuEngine()};
}

dnnl::layer_normalization_forward::primitive_desc LayerNormalizationDesc(
    const MemoryDesc& desc, float epsilon, dnnl::normalization_flags flags,
    const dnnl::primitive_attr& attr) {
  return {
      {prop_kind::forward_inference, desc, epsilon, flags}, attr, CpuEngine()};
}

dnnl::binary::primitive_desc BinaryDesc(const BinarySpec& spec,
                                        const dnnl::primitive_attr& attr) {
  return {{spec.algorithm, spec.source, spec.second_source, spec.destination},
          attr,
          CpuEngine()};
}

// The scales multiply accumulator and bias together.
float BiasDivisor(float scale) { return scale; }

#endif

dnnl::post_ops ToPostOps(absl::Span<const FusedOp> fused) {
  dnnl::post_ops ops;
  for (const FusedOp& op : fused) {
    switch (op.kind) {
      case FusedOp::Kind::kSum:
        ops.append_sum(op.scale, /*zero_point=*/0, ToDnnlType(op.type));
        break;
      case FusedOp::Kind::kEltwise:
        AppendEltwise(op, &ops);
        break;
      case FusedOp::Kind::kBinaryAdd:
        ops.append_binary(algorithm::binary_add, op.desc);
        break;
    }
  }
  return ops;
}

dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::primitive_attr ToAttr(const Attributes& attributes, int weights_mask,
                            Kernel* kernel) {
  dnnl::primitive_attr attr = UserScratchpad();
  SetAccumulatorScales(attributes.scales, weights_mask, &attr, kernel);
  SetZeroPoint(DNNL_ARG_SRC, attributes.source_zero_point, &attr, kernel);
  if (!attributes.ops.empty()) attr.set_post_ops(ToPostOps(attributes.ops));
  return attr;
}

MemoryDesc BiasDesc(bool has_bias, const MemoryDesc& destination) {
  if (!has_bias) return MemoryDesc();
  return PlainDesc({DimsOf(destination)[1]}, DataType::kFloat32);
}

}  // namespace

absl::Status GuardOneDnn(absl::string_view what,
                         const std::function<void()>& body) {
  try {
    body();
  } catch (const dnnl::error& error) {
    return StatusOf(error, what);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(what, ": out of memory"));
  }
  return absl::OkStatus();
}

const dnnl::engine& CpuEngine() {
  static const auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

DnnlType ToDnnlType(DataType type) {
  switch (type) {
    case DataType::kBfloat16:
      return DnnlType::bf16;
    case DataType::kUint8:
      return DnnlType::u8;
    case DataType::kInt8:
      return DnnlType::s8;
    case DataType::kInt32:
      return DnnlType::s32;
    default:
      assert(type == DataType::kFloat32);
      return DnnlType::f32;
  }
}

MemoryDesc StridedDesc(absl::Span<const int64_t> shape,
                       absl::Span<const int64_t> strides, DataType type) {
  return MemoryDesc(ShapeDims(shape), ToDnnlType(type),
                    strides.empty() ? Dims{1} : ToDims(strides));
}

MemoryDesc PlainDesc(absl::Span<const int64_t> shape, DataType type) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * shape[d + 1];
  }
  return StridedDesc(shape, strides, type);
}

MemoryDesc AnyDesc(absl::Span<const int64_t> shape, DataType type) {
  return MemoryDesc(ShapeDims(shape), ToDnnlType(type),
                    dnnl::memory::format_tag::any);
}

MemoryDesc ChannelsLastDesc(absl::Span<const int64_t> shape, DataType type) {
  const int rank = static_cast<int>(shape.size());
  if (rank < 3 || rank > 5) return PlainDesc(shape, type);
  std::vector<int64_t> strides(rank, 1);
  int64_t stride = shape[1];
  for (int d = rank - 1; d >= 2; --d) {
    strides[d] = stride;
    stride *= shape[d];
  }
  strides[0] = stride;
  return StridedDesc(shape, strides, type);
}

MemoryDesc BlockedDesc(absl::Span<const int64_t> shape, int64_t channel_block,
                       DataType type) {
  using Tag = dnnl::memory::format_tag;
  constexpr Tag kTags[3][2] = {{Tag::nCw8c, Tag::nCw16c},
                               {Tag::nChw8c, Tag::nChw16c},
                               {Tag::nCdhw8c, Tag::nCdhw16c}};
  assert(channel_block == 8 || channel_block == 16);
  return MemoryDesc(ToDims(shape), ToDnnlType(type),
                    kTags[shape.size() - 3][channel_block == 16 ? 1 : 0]);
}

absl::StatusOr<MemoryDesc> RegionDesc(const MemoryDesc& whole,
                                      absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> offsets) {
  MemoryDesc region;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("region of a layout", [&] {
    region = whole.submemory_desc(ToDims(shape), ToDims(offsets));
  }));
  return region;
}

absl::StatusOr<MemoryDesc> WithType(const MemoryDesc& desc, DataType type) {
  std::optional<MemoryDesc> retyped = Retyped(desc, ToDnnlType(type));
  if (!retyped) {
    return absl::UnimplementedError("a layout that cannot be restated");
  }
  return *retyped;
}

int64_t DescBytes(const MemoryDesc& desc) {
  return static_cast<int64_t>(desc.get_size());
}

std::vector<int64_t> DescDims(const MemoryDesc& desc) { return DimsOf(desc); }

std::optional<Layout> DescribeLayout(const MemoryDesc& desc) {
  const std::optional<Blocking> blocking = BlockingOf(desc);
  if (!blocking || blocking->inner_blocks.size() > 1) return std::nullopt;
  Layout layout{DimsOf(desc), blocking->strides, 1};
  if (!blocking->inner_blocks.empty()) {
    if (blocking->inner_dims[0] != 1) return std::nullopt;
    layout.channel_block = blocking->inner_blocks[0];
  }
  return layout;
}

bool IsReferenceImplementation(absl::string_view implementation) {
  return absl::StartsWith(implementation, "ref");
}

int FusedOpArgument(int index) {
  return DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1;
}

absl::StatusOr<Kernel> MakeConvolution(const ConvolutionSpec& spec,
                                       const Attributes& attributes) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("convolution", [&] {
    const bool is_grouped =
        DimsOf(spec.weights).size() > DimsOf(spec.source).size();
    const auto attr = ToAttr(attributes, is_grouped ? 3 : 1, &kernel);
    Finish<dnnl::convolution_forward>(
        ConvolutionDesc(spec, BiasDesc(spec.has_bias, spec.destination), attr),
        &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeInnerProduct(const InnerProductSpec& spec,
                                        const Attributes& attributes) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("inner product", [&] {
    const auto attr = ToAttr(attributes, 1, &kernel);
    Finish<dnnl::inner_product_forward>(
        InnerProductDesc(spec, BiasDesc(spec.has_bias, spec.destination), attr),
        &kernel);
  }));
  return kernel;
}

std::vector<float> PreparedBias(std::vector<float> bias,
                                absl::Span<const float> scales) {
  for (size_t c = 0; c < bias.size() && !scales.empty(); ++c) {
    bias[c] /= BiasDivisor(scales[scales.size() == 1 ? 0 : c]);
  }
  return bias;
}

absl::StatusOr<Kernel> MakeMatMul(const MemoryDesc& source,
                                  const MemoryDesc& weights,
                                  const MemoryDesc& destination) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("matmul", [&] {
    Finish<dnnl::matmul>(
        MatMulDesc(source, weights, destination, UserScratchpad()), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakePooling(const PoolingSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("pooling", [&] {
    Finish<PoolingPrimitive>(PoolingDesc(spec, UserScratchpad()), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeEltwise(const FusedOp& op, const MemoryDesc& desc) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("eltwise", [&] {
    Finish<dnnl::eltwise_forward>(EltwiseDesc(op, desc, UserScratchpad()),
                                  &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeSoftmax(const MemoryDesc& desc, int axis,
                                   bool is_log) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("softmax", [&] {
    const algorithm kind =
        is_log ? algorithm::softmax_log : algorithm::softmax_accurate;
    Finish<SoftmaxPrimitive>(SoftmaxDesc(desc, axis, kind, UserScratchpad()),
                             &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeLayerNormalization(const MemoryDesc& desc,
                                              float epsilon) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("layer normalization", [&] {
    const auto flags = dnnl::normalization_flags::use_scale |
                       dnnl::normalization_flags::use_shift;
    Finish<dnnl::layer_normalization_forward>(
        LayerNormalizationDesc(desc, epsilon, flags, UserScratchpad()),
        &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeBinary(const BinarySpec& spec,
                                  absl::Span<const FusedOp> ops) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("binary", [&] {
    dnnl::primitive_attr attr = UserScratchpad();
    SetScale(DNNL_ARG_SRC_0, spec.source_scale, &attr, &kernel);
    SetScale(DNNL_ARG_SRC_1, spec.second_source_scale, &attr, &kernel);
    if (!ops.empty()) attr.set_post_ops(ToPostOps(ops));
    Finish<dnnl::binary>(BinaryDesc(spec, attr), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeReorder(const ReorderSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("reorder", [&] {
    dnnl::primitive_attr attr = UserScratchpad();
    SetReorderScale(spec.scale, &attr, &kernel);
    SetZeroPoint(DNNL_ARG_SRC, spec.source_zero_point, &attr, &kernel);
    SetZeroPoint(DNNL_ARG_DST, spec.destination_zero_point, &attr, &kernel);
    Finish<dnnl::reorder>(
        dnnl::reorder::primitive_desc(CpuEngine(), spec.source, CpuEngine(),
                                      spec.destination, attr),
        &kernel);
  }));
  return kernel;
}

absl::Status ReorderNow(const Kernel& reorder, const void* source,
                        void* destination) {
  return GuardOneDnn("reorder", [&] {
    const dnnl::engine& engine = CpuEngine();
    std::unordered_map<int, dnnl::memory> arguments = {
        {DNNL_ARG_SRC, {reorder.source, engine, const_cast<void*>(source)}},
        {DNNL_ARG_DST, {reorder.destination, engine, destination}},
        {DNNL_ARG_SCRATCHPAD, {reorder.scratchpad, engine}}};
    for (const ConstantArgument& constant : reorder.constants) {
      void* bytes = const_cast<char*>(constant.bytes.data());
      arguments.insert(
          {constant.argument, dnnl::memory(constant.desc, engine, bytes)});
    }
    dnnl::stream stream(engine);
    reorder.primitive.execute(stream, arguments);
    stream.wait();
  });
}

std::string OneDnnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(version->major, ".", version->minor, ".",
                      version->patch);
}

std::string OneDnnIsa() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    default:
      return absl::StrCat(
          "isa_", static_cast<int>(dnnl_get_effective_cpu_isa()));
  }
}

void SetPrimitiveCacheCapacity(int capacity) {
  dnnl_set_primitive_cache_capacity(capacity);
}

}  // namespace lathe
