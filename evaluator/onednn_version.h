// What differs between oneDNN 2.x (operation descriptors, scales and zero
// points known when a primitive is made) and 3.x (none of the former, the
// latter arguments of every run). No other file asks for the version. Private
// to onednn_layout.cc and onednn_adapter.cc.
#ifndef LATHE_EVALUATOR_ONEDNN_VERSION_H_
#define LATHE_EVALUATOR_ONEDNN_VERSION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "evaluator/onednn_adapter.h"
#include "evaluator/onednn_layout.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace lathe {
namespace onednn {

using dnnl::algorithm;
using dnnl::prop_kind;
using Dims = dnnl::memory::dims;
using DnnlType = dnnl::memory::data_type;

inline Dims ToDims(absl::Span<const int64_t> values) {
  return Dims(values.begin(), values.end());
}

// oneDNN counts the zeros between taps, ONNX the step.
inline Dims ZerosBetween(absl::Span<const int64_t> dilations) {
  Dims zeros = ToDims(dilations);
  for (auto& zero : zeros) zero -= 1;
  return zeros;
}

struct Blocking {
  Dims strides;
  Dims inner_blocks;
  Dims inner_dims;
  // Dimensions, filled up to whole blocks.
  Dims padded_dims;
};

template <typename T>
ConstantArgument MakeConstant(int argument, absl::Span<const T> values) {
  ConstantArgument constant;
  constant.argument = argument;
  constant.desc =
      PlainDesc({static_cast<int64_t>(values.size())}, DataTypeOf<T>::value);
  constant.bytes.assign(reinterpret_cast<const char*>(values.data()),
                        values.size() * sizeof(T));
  return constant;
}

#if DNNL_VERSION_MAJOR >= 3

inline std::optional<Blocking> BlockingOf(const MemoryDesc& desc) {
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked) {
    return std::nullopt;
  }
  if (desc.get_submemory_offset() != 0) return std::nullopt;
  return Blocking{desc.get_strides(), desc.get_inner_blks(),
                  desc.get_inner_idxs(), desc.get_padded_dims()};
}

inline Dims DimsOf(const MemoryDesc& desc) { return desc.get_dims(); }

inline DnnlType TypeOf(const MemoryDesc& desc) { return desc.get_data_type(); }

inline std::optional<MemoryDesc> Retyped(const MemoryDesc& desc,
                                         DnnlType type) {
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

inline void AppendEltwise(const FusedOp& op, dnnl::post_ops* ops) {
  const bool is_hardswish = op.algorithm == algorithm::eltwise_hardswish;
  ops->append_eltwise(op.algorithm, is_hardswish ? 1.f / 6 : op.alpha,
                      is_hardswish ? .5f : op.beta);
}

inline void SetScale(int argument, float scale, dnnl::primitive_attr* attr,
                     Kernel* kernel) {
  if (scale == 1) return;
  attr->set_scales_mask(argument, 0);
  kernel->constants.push_back(
      MakeConstant<float>(DNNL_ARG_ATTR_SCALES | argument, {scale}));
}

inline void SetZeroPoint(int argument, int zero_point,
                         dnnl::primitive_attr* attr, Kernel* kernel) {
  if (zero_point == 0) return;
  attr->set_zero_points_mask(argument, 0);
  kernel->constants.push_back(MakeConstant<int32_t>(
      DNNL_ARG_ATTR_ZERO_POINTS | argument, {zero_point}));
}

// `weights_mask` selects the dimensions of the weights that make up the output
// channels.
inline void SetAccumulatorScales(absl::Span<const float> scales,
                                 int weights_mask, dnnl::primitive_attr* attr,
                                 Kernel* kernel) {
  if (scales.empty()) return;
  attr->set_scales_mask(DNNL_ARG_WEIGHTS,
                        scales.size() == 1 ? 0 : weights_mask);
  kernel->constants.push_back(
      MakeConstant<float>(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, scales));
}

inline void SetReorderScale(float scale, dnnl::primitive_attr* attr,
                            Kernel* kernel) {
  SetScale(DNNL_ARG_SRC, scale, attr, kernel);
}

// Calls visit(description) for the implementations that the library has, its
// preferred one first, as long as it returns true.
template <typename Visit>
void VisitConvolutions(const ConvolutionSpec& spec, const MemoryDesc& bias,
                       const dnnl::primitive_attr& attr, Visit visit) {
  dnnl::convolution_forward::primitive_desc description(
      CpuEngine(), prop_kind::forward_inference, algorithm::convolution_direct,
      spec.source, spec.weights, bias, spec.destination, ToDims(spec.strides),
      ZerosBetween(spec.dilations), ToDims(spec.pads_begin),
      ToDims(spec.pads_end), attr);
  while (visit(description) && description.next_impl()) {
  }
}

inline dnnl::deconvolution_forward::primitive_desc DeconvolutionDesc(
    const ConvolutionSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          algorithm::deconvolution_direct,
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

inline dnnl::prelu_forward::primitive_desc PReluDesc(
    const MemoryDesc& desc, const MemoryDesc& slopes,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, desc, slopes, desc, attr};
}

inline dnnl::lrn_forward::primitive_desc ResponseNormDesc(
    const ResponseNormSpec& spec, const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          algorithm::lrn_across_channels,
          spec.desc,
          spec.desc,
          spec.size,
          spec.alpha,
          spec.beta,
          spec.bias,
          attr};
}

inline dnnl::inner_product_forward::primitive_desc InnerProductDesc(
    const InnerProductSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference,
          spec.source, spec.weights,
          bias,        spec.destination,
          attr};
}

// Most dimensions of factors whose matrices may lie in another order than one
// behind the other. Version 3.7 takes wrong ones of five dimensions.
constexpr size_t kMostStridedMatMulRank = 4;

// Whether reorders into layouts of weights that are filled up with zeros put
// zeros over numbers, as version 3.7 does.
constexpr bool kReordersLoseNumbers = true;

inline dnnl::matmul::primitive_desc MatMulDesc(
    const MemoryDesc& source, const MemoryDesc& weights,
    const MemoryDesc& destination, const dnnl::primitive_attr& attr) {
  return {CpuEngine(), source, weights, destination, attr};
}

using PoolingPrimitive = dnnl::pooling_forward;
inline PoolingPrimitive::primitive_desc PoolingDesc(
    const PoolingSpec& spec, const dnnl::primitive_attr& attr) {
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

inline dnnl::eltwise_forward::primitive_desc EltwiseDesc(
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
inline SoftmaxPrimitive::primitive_desc SoftmaxDesc(
    const MemoryDesc& desc, int axis, algorithm kind,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, kind, desc, desc, axis,
          attr};
}

inline dnnl::layer_normalization_forward::primitive_desc LayerNormalizationDesc(
    const MemoryDesc& desc, float epsilon, dnnl::normalization_flags flags,
    const dnnl::primitive_attr& attr) {
  return {CpuEngine(), prop_kind::forward_inference, desc, desc, epsilon, flags,
          attr};
}

inline dnnl::binary::primitive_desc BinaryDesc(
    const BinarySpec& spec, const dnnl::primitive_attr& attr) {
  return {CpuEngine(),        spec.algorithm,   spec.source,
          spec.second_source, spec.destination, attr};
}

inline dnnl::lstm_forward::primitive_desc LstmDesc(
    const RecurrentSpec& spec, const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          spec.direction,
          spec.source,
          spec.first_state,
          spec.first_cell,
          spec.weights,
          spec.recurrence,
          spec.bias,
          spec.destination,
          spec.last_state,
          spec.last_cell,
          attr};
}

template <typename Primitive>
typename Primitive::primitive_desc GruDesc(const RecurrentSpec& spec,
                                           const dnnl::primitive_attr& attr) {
  return {CpuEngine(),
          prop_kind::forward_inference,
          spec.direction,
          spec.source,
          spec.first_state,
          spec.weights,
          spec.recurrence,
          spec.bias,
          spec.destination,
          spec.last_state,
          attr};
}

// The bias is added after the scales.
inline float BiasDivisor(float scale) { return 1; }

#else  // 2.x

inline std::optional<Blocking> BlockingOf(const MemoryDesc& desc) {
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
  return Blocking{Dims(blocking.strides, blocking.strides + data.ndims),
                  Dims(blocking.inner_blks, blocking.inner_blks + blocks),
                  Dims(blocking.inner_idxs, blocking.inner_idxs + blocks),
                  Dims(data.padded_dims, data.padded_dims + data.ndims)};
}

inline Dims DimsOf(const MemoryDesc& desc) { return desc.dims(); }

inline DnnlType TypeOf(const MemoryDesc& desc) { return desc.data_type(); }

inline std::optional<MemoryDesc> Retyped(const MemoryDesc& desc,
                                         DnnlType type) {
  MemoryDesc retyped = desc;
  retyped.data.data_type = static_cast<dnnl_data_type_t>(type);
  return retyped;
}

inline void AppendEltwise(const FusedOp& op, dnnl::post_ops* ops) {
  ops->append_eltwise(1.f, op.algorithm, op.alpha, op.beta);
}

inline void SetScale(int argument, float scale, dnnl::primitive_attr* attr,
                     Kernel* kernel) {
  if (scale != 1) attr->set_scales(argument, 0, {scale});
}

inline void SetZeroPoint(int argument, int zero_point,
                         dnnl::primitive_attr* attr, Kernel* kernel) {
  if (zero_point != 0) attr->set_zero_points(argument, 0, {zero_point});
}

inline void SetAccumulatorScales(absl::Span<const float> scales,
                                 int weights_mask, dnnl::primitive_attr* attr,
                                 Kernel* kernel) {
  if (scales.empty()) return;
  // The output channel is dimension 1 of the destination.
  attr->set_output_scales(scales.size() == 1 ? 0 : 1 << 1,
                          std::vector<float>(scales.begin(), scales.end()));
}

inline void SetReorderScale(float scale, dnnl::primitive_attr* attr,
                            Kernel* kernel) {
  if (scale != 1) attr->set_output_scales(0, {scale});
}

// Calls visit(description) for the implementations that the library has, its
// preferred one first, as long as it returns true.
template <typename Visit>
void VisitConvolutions(const ConvolutionSpec& spec, const MemoryDesc& bias,
                       const dnnl::primitive_attr& attr, Visit visit) {
  // The description refers to the operation.
  const dnnl::convolution_forward::desc operation(
      prop_kind::forward_inference, algorithm::convolution_direct, spec.source,
      spec.weights, bias, spec.destination, ToDims(spec.strides),
      ZerosBetween(spec.dilations), ToDims(spec.pads_begin),
      ToDims(spec.pads_end));
  dnnl::convolution_forward::primitive_desc description(operation, attr,
                                                        CpuEngine());
  while (visit(description) && description.next_impl()) {
  }
}

inline dnnl::deconvolution_forward::primitive_desc DeconvolutionDesc(
    const ConvolutionSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, algorithm::deconvolution_direct,
           spec.source, spec.weights, bias, spec.destination,
           ToDims(spec.strides), ZerosBetween(spec.dilations),
           ToDims(spec.pads_begin), ToDims(spec.pads_end)},
          attr,
          CpuEngine()};
}

inline dnnl::prelu_forward::primitive_desc PReluDesc(
    const MemoryDesc& desc, const MemoryDesc& slopes,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, desc, slopes}, attr, CpuEngine()};
}

inline dnnl::lrn_forward::primitive_desc ResponseNormDesc(
    const ResponseNormSpec& spec, const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, algorithm::lrn_across_channels,
           spec.desc, spec.size, spec.alpha, spec.beta, spec.bias},
          attr,
          CpuEngine()};
}

inline dnnl::inner_product_forward::primitive_desc InnerProductDesc(
    const InnerProductSpec& spec, const MemoryDesc& bias,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.source, spec.weights, bias,
           spec.destination},
          attr,
          CpuEngine()};
}

constexpr size_t kMostStridedMatMulRank = DNNL_MAX_NDIMS;
constexpr bool kReordersLoseNumbers = false;

inline dnnl::matmul::primitive_desc MatMulDesc(
    const MemoryDesc& source, const MemoryDesc& weights,
    const MemoryDesc& destination, const dnnl::primitive_attr& attr) {
  return {{source, weights, destination}, attr, CpuEngine()};
}

using PoolingPrimitive = dnnl::pooling_v2_forward;
inline PoolingPrimitive::primitive_desc PoolingDesc(
    const PoolingSpec& spec, const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.algorithm, spec.source,
           spec.destination, ToDims(spec.strides), ToDims(spec.kernel),
           ZerosBetween(spec.dilations), ToDims(spec.pads_begin),
           ToDims(spec.pads_end)},
          attr,
          CpuEngine()};
}

inline dnnl::eltwise_forward::primitive_desc EltwiseDesc(
    const FusedOp& op, const MemoryDesc& desc,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, op.algorithm, desc, op.alpha, op.beta},
          attr,
          CpuEngine()};
}

using SoftmaxPrimitive = dnnl::softmax_v2_forward;
inline SoftmaxPrimitive::primitive_desc SoftmaxDesc(
    const MemoryDesc& desc, int axis, algorithm kind,
    const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, kind, desc, desc, axis},
          attr,
          CpuEngine()};
}

inline dnnl::layer_normalization_forward::primitive_desc LayerNormalizationDesc(
    const MemoryDesc& desc, float epsilon, dnnl::normalization_flags flags,
    const dnnl::primitive_attr& attr) {
  return {
      {prop_kind::forward_inference, desc, epsilon, flags}, attr, CpuEngine()};
}

inline dnnl::binary::primitive_desc BinaryDesc(
    const BinarySpec& spec, const dnnl::primitive_attr& attr) {
  return {{spec.algorithm, spec.source, spec.second_source, spec.destination},
          attr,
          CpuEngine()};
}

inline dnnl::lstm_forward::primitive_desc LstmDesc(
    const RecurrentSpec& spec, const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.direction, spec.source,
           spec.first_state, spec.first_cell, spec.weights, spec.recurrence,
           spec.bias, spec.destination, spec.last_state, spec.last_cell},
          attr,
          CpuEngine()};
}

template <typename Primitive>
typename Primitive::primitive_desc GruDesc(const RecurrentSpec& spec,
                                           const dnnl::primitive_attr& attr) {
  return {{prop_kind::forward_inference, spec.direction, spec.source,
           spec.first_state, spec.weights, spec.recurrence, spec.bias,
           spec.destination, spec.last_state},
          attr,
          CpuEngine()};
}

// The scales multiply accumulator and bias together.
inline float BiasDivisor(float scale) { return scale; }

#endif

}  // namespace onednn
}  // namespace lathe

#endif  // LATHE_EVALUATOR_ONEDNN_VERSION_H_
