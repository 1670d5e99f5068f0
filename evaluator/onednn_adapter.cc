#include "evaluator/onednn_adapter.h"

#include <cassert>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/onednn_version.h"

namespace lathe {
namespace {

using dnnl::algorithm;

template <typename Primitive>
void Finish(const typename Primitive::primitive_desc& description,
            Kernel* kernel) {
  kernel->source = description.query_md(dnnl::query::src_md, 0);
  kernel->second_source = description.query_md(dnnl::query::src_md, 1);
  kernel->weights = description.query_md(dnnl::query::weights_md, 0);
  kernel->recurrence = description.query_md(dnnl::query::weights_md, 1);
  kernel->destination = description.query_md(dnnl::query::dst_md, 0);
  kernel->scratchpad = description.scratchpad_desc();
  kernel->implementation = description.impl_info_str();
  kernel->primitive = Primitive(description);
}

dnnl::post_ops ToPostOps(absl::Span<const FusedOp> fused) {
  dnnl::post_ops ops;
  for (const FusedOp& op : fused) {
    switch (op.kind) {
      case FusedOp::Kind::kSum:
        ops.append_sum(op.scale, /*zero_point=*/0, ToDnnlType(op.type));
        break;
      case FusedOp::Kind::kEltwise:
        onednn::AppendEltwise(op, &ops);
        break;
      case FusedOp::Kind::kBinaryAdd:
        ops.append_binary(algorithm::binary_add, op.desc);
        break;
    }
  }
  return ops;
}

// Whether the matrices, the last two dimensions, lie one behind the other.
bool HasDenseMatrices(const MemoryDesc& desc) {
  const std::vector<int64_t> dims = DescDims(desc);
  const std::optional<onednn::Blocking> blocking = onednn::BlockingOf(desc);
  if (!blocking || !blocking->inner_blocks.empty()) return false;
  int64_t dense = dims[dims.size() - 1] * dims[dims.size() - 2];
  for (size_t i = dims.size() - 2; i-- > 0;) {
    if (dims[i] > 1 && blocking->strides[i] != dense) return false;
    dense *= dims[i];
  }
  return true;
}

dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::primitive_attr ToAttr(const Attributes& attributes, int weights_mask,
                            Kernel* kernel) {
  dnnl::primitive_attr attr = UserScratchpad();
  onednn::SetAccumulatorScales(attributes.scales, weights_mask, &attr, kernel);
  onednn::SetZeroPoint(DNNL_ARG_SRC, attributes.source_zero_point, &attr,
                       kernel);
  if (!attributes.ops.empty()) attr.set_post_ops(ToPostOps(attributes.ops));
  return attr;
}

MemoryDesc BiasDesc(bool has_bias, const MemoryDesc& destination) {
  if (!has_bias) return MemoryDesc();
  return PlainDesc({onednn::DimsOf(destination)[1]}, DataType::kFloat32);
}

using ConvolutionDesc = dnnl::convolution_forward::primitive_desc;

// Calls visit(description, kernel), where `kernel` has the constants of
// `attributes`, for the library's implementations as long as it returns true.
template <typename Visit>
absl::Status VisitConvolutions(const ConvolutionSpec& spec,
                               const Attributes& attributes, Visit visit) {
  return GuardOneDnn("convolution", [&] {
    Kernel common;
    const bool is_grouped = onednn::DimsOf(spec.weights).size() >
                            onednn::DimsOf(spec.source).size();
    const auto attr = ToAttr(attributes, is_grouped ? 3 : 1, &common);
    onednn::VisitConvolutions(spec, BiasDesc(spec.has_bias, spec.destination),
                              attr, [&](const ConvolutionDesc& description) {
                                return visit(description, common);
                              });
  });
}

// "avx512_core_vnni" of "jit_int8:avx512_core_vnni".
std::string InstructionSetOf(absl::string_view implementation) {
  return std::string(implementation.substr(implementation.rfind(':') + 1));
}

}  // namespace

bool IsReferenceImplementation(absl::string_view implementation) {
  return absl::StartsWith(implementation, "ref");
}

int FusedOpArgument(int index) {
  return DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1;
}

absl::StatusOr<Kernel> MakeConvolution(const ConvolutionSpec& spec,
                                       const Attributes& attributes) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(VisitConvolutions(
      spec, attributes,
      [&](const ConvolutionDesc& description, const Kernel& common) {
        kernel = common;
        Finish<dnnl::convolution_forward>(description, &kernel);
        return false;
      }));
  return kernel;
}

absl::StatusOr<std::vector<Kernel>> MakeConvolutions(
    const ConvolutionSpec& spec, const Attributes& attributes) {
  std::vector<Kernel> kernels;
  LATHE_RETURN_IF_ERROR(VisitConvolutions(
      spec, attributes,
      [&](const ConvolutionDesc& description, const Kernel& common) {
        // The widest come first.
        if (!kernels.empty() &&
            InstructionSetOf(description.impl_info_str()) !=
                InstructionSetOf(kernels[0].implementation)) {
          return false;
        }
        Kernel kernel = common;
        Finish<dnnl::convolution_forward>(description, &kernel);
        if (kernels.empty() || (kernel.source == kernels[0].source &&
                                kernel.destination == kernels[0].destination)) {
          kernels.push_back(std::move(kernel));
        }
        return true;
      }));
  return kernels;
}

absl::StatusOr<Kernel> MakeDeconvolution(const ConvolutionSpec& spec,
                                         const Attributes& attributes) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("transposed convolution", [&] {
    const auto attr = ToAttr(attributes, 1, &kernel);
    Finish<dnnl::deconvolution_forward>(
        onednn::DeconvolutionDesc(
            spec, BiasDesc(spec.has_bias, spec.destination), attr),
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
        onednn::InnerProductDesc(
            spec, BiasDesc(spec.has_bias, spec.destination), attr),
        &kernel);
  }));
  return kernel;
}

std::vector<float> PreparedBias(std::vector<float> bias,
                                absl::Span<const float> scales) {
  for (size_t c = 0; c < bias.size() && !scales.empty(); ++c) {
    bias[c] /= onednn::BiasDivisor(scales[scales.size() == 1 ? 0 : c]);
  }
  return bias;
}

absl::StatusOr<Kernel> MakeMatMul(const MemoryDesc& source,
                                  const MemoryDesc& weights,
                                  const MemoryDesc& destination,
                                  absl::Span<const FusedOp> ops) {
  Kernel kernel;
  if (DescDims(source).size() > onednn::kMostStridedMatMulRank &&
      !(HasDenseMatrices(source) && HasDenseMatrices(weights) &&
        HasDenseMatrices(destination))) {
    return absl::UnimplementedError(
        "matmul: matrices in another order than one behind the other");
  }
  LATHE_RETURN_IF_ERROR(GuardOneDnn("matmul", [&] {
    dnnl::primitive_attr attr = UserScratchpad();
    if (!ops.empty()) attr.set_post_ops(ToPostOps(ops));
    Finish<dnnl::matmul>(onednn::MatMulDesc(source, weights, destination, attr),
                         &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakePooling(const PoolingSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("pooling", [&] {
    Finish<onednn::PoolingPrimitive>(
        onednn::PoolingDesc(spec, UserScratchpad()), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeEltwise(const FusedOp& op, const MemoryDesc& desc) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("eltwise", [&] {
    Finish<dnnl::eltwise_forward>(
        onednn::EltwiseDesc(op, desc, UserScratchpad()), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakePRelu(const MemoryDesc& desc,
                                 const MemoryDesc& slopes) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("prelu", [&] {
    Finish<dnnl::prelu_forward>(
        onednn::PReluDesc(desc, slopes, UserScratchpad()), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeResponseNormalization(const ResponseNormSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("response normalization", [&] {
    Finish<dnnl::lrn_forward>(onednn::ResponseNormDesc(spec, UserScratchpad()),
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
    Finish<onednn::SoftmaxPrimitive>(
        onednn::SoftmaxDesc(desc, axis, kind, UserScratchpad()), &kernel);
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
        onednn::LayerNormalizationDesc(desc, epsilon, flags, UserScratchpad()),
        &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeRecurrent(const RecurrentSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("recurrent layer", [&] {
    const dnnl::primitive_attr attr = UserScratchpad();
    switch (spec.cell) {
      case RecurrentSpec::Cell::kLstm:
        Finish<dnnl::lstm_forward>(onednn::LstmDesc(spec, attr), &kernel);
        break;
      case RecurrentSpec::Cell::kGru:
        Finish<dnnl::gru_forward>(
            onednn::GruDesc<dnnl::gru_forward>(spec, attr), &kernel);
        break;
      case RecurrentSpec::Cell::kLinearBeforeResetGru:
        Finish<dnnl::lbr_gru_forward>(
            onednn::GruDesc<dnnl::lbr_gru_forward>(spec, attr), &kernel);
        break;
    }
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeBinary(const BinarySpec& spec,
                                  absl::Span<const FusedOp> ops) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("binary", [&] {
    dnnl::primitive_attr attr = UserScratchpad();
    onednn::SetScale(DNNL_ARG_SRC_0, spec.source_scale, &attr, &kernel);
    onednn::SetScale(DNNL_ARG_SRC_1, spec.second_source_scale, &attr, &kernel);
    if (!ops.empty()) attr.set_post_ops(ToPostOps(ops));
    Finish<dnnl::binary>(onednn::BinaryDesc(spec, attr), &kernel);
  }));
  return kernel;
}

absl::StatusOr<Kernel> MakeReorder(const ReorderSpec& spec) {
  Kernel kernel;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("reorder", [&] {
    dnnl::primitive_attr attr = UserScratchpad();
    onednn::SetReorderScale(spec.scale, &attr, &kernel);
    Finish<dnnl::reorder>(
        dnnl::reorder::primitive_desc(CpuEngine(), spec.source, CpuEngine(),
                                      spec.destination, attr),
        &kernel);
  }));
  return kernel;
}

Arguments OwnArguments(const Kernel& kernel) {
  Arguments arguments = {
      {DNNL_ARG_SCRATCHPAD, {kernel.scratchpad, CpuEngine()}}};
  for (const ConstantArgument& constant : kernel.constants) {
    void* bytes = const_cast<char*>(constant.bytes.data());
    arguments.insert(
        {constant.argument, dnnl::memory(constant.desc, CpuEngine(), bytes)});
  }
  return arguments;
}

namespace {

absl::Status RunReorder(const ReorderSpec& spec, const void* source,
                        void* destination) {
  LATHE_ASSIGN_OR_RETURN(const Kernel reorder, MakeReorder(spec));
  return GuardOneDnn("reorder", [&] {
    const dnnl::engine& engine = CpuEngine();
    Arguments arguments = OwnArguments(reorder);
    arguments.insert(
        {DNNL_ARG_SRC, {reorder.source, engine, const_cast<void*>(source)}});
    arguments.insert(
        {DNNL_ARG_DST, {reorder.destination, engine, destination}});
    dnnl::stream stream(engine);
    reorder.primitive.execute(stream, arguments);
    stream.wait();
  });
}

}  // namespace

absl::Status ReorderNow(const ReorderSpec& spec, const void* source,
                        void* destination) {
  LATHE_RETURN_IF_ERROR(RunReorder(spec, source, destination));
  if (!ReordersLoseNumbers(spec.destination)) return absl::OkStatus();
  // What stands behind the numbers, as for grids with zero points, is right.
  ReorderSpec in_order = spec;
  in_order.destination =
      PlainDesc(DescDims(spec.destination), DescType(spec.destination));
  std::vector<char> numbers(DescBytes(in_order.destination));
  LATHE_RETURN_IF_ERROR(RunReorder(in_order, source, numbers.data()));
  PutInBlocks(numbers.data(), spec.destination,
              static_cast<char*>(destination));
  return absl::OkStatus();
}

std::string OneDnnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(version->major, ".", version->minor, ".", version->patch);
}

namespace {

// The bits of a set contain those of the sets that it includes.
bool Covers(dnnl_cpu_isa_t isa, dnnl_cpu_isa_t part) {
  return (isa & part) == part;
}

std::string IsaName(dnnl_cpu_isa_t isa) {
  // The widest first.
  const std::pair<dnnl_cpu_isa_t, const char*> names[] = {
      {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
      {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
      {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
      {dnnl_cpu_isa_avx512_core, "avx512_core"},
      {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
      {dnnl_cpu_isa_avx2, "avx2"},
      {dnnl_cpu_isa_avx, "avx"},
      {dnnl_cpu_isa_sse41, "sse41"}};
  for (const auto& [known, name] : names) {
    if (Covers(isa, known)) return name;
  }
  return absl::StrCat("isa_", static_cast<int>(isa));
}

}  // namespace

OneDnnIsa EffectiveIsa() {
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  OneDnnIsa effective;
  effective.name = IsaName(isa);
  effective.has_vnni = Covers(isa, dnnl_cpu_isa_avx512_core_vnni) ||
                       Covers(isa, dnnl_cpu_isa_avx2_vnni);
  effective.has_bf16 = Covers(isa, dnnl_cpu_isa_avx512_core_bf16);
  effective.has_amx = Covers(isa, dnnl_cpu_isa_avx512_core_amx);
  return effective;
}

void SetPrimitiveCacheCapacity(int capacity) {
  dnnl_set_primitive_cache_capacity(capacity);
}

}  // namespace lathe
