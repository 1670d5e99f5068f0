#include "evaluator/lower_weighted.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/status.h"
#include "evaluator/activations.h"
#include "evaluator/epilogue.h"
#include "evaluator/executor.h"
#include "evaluator/group_merging.h"
#include "evaluator/lower_dynamic.h"

namespace lathe {
namespace {

// A kernel that would do, before anything is added to the program.
struct Attempt {
  Encoding source;
  Encoding destination;
  Epilogue epilogue;
  std::vector<float> bias;
  Kernel kernel;
};

class WeightedLowering {
 public:
  WeightedLowering(LoweringContext& context, const Node& node,
                   const WeightedNode& weighted)
      : context_(context), node_(node), weighted_(weighted) {}

  absl::Status Run() {
    const absl::StatusOr<Attempt> fused = Choose();
    if (fused.ok()) {
      LATHE_ASSIGN_OR_RETURN(const Copy copy, Emit(*fused));
      context_.Define(node_.outputs[0], copy);
      return absl::OkStatus();
    }
    if (!absl::IsUnimplemented(fused.status())) return fused.status();
    return RunWithStepsForPostOps();
  }

 private:
  absl::StatusOr<Attempt> Choose() {
    for (v1::Precision precision : {v1::INT8, v1::BF16}) {
      if (node_.precision != precision) continue;
      auto attempt = precision == v1::INT8 ? TryInt8() : TryBfloat16();
      if (attempt.ok() &&
          !IsReferenceImplementation(attempt->kernel.implementation)) {
        return attempt;
      }
    }
    return TryFloat32();
  }

  absl::Status RunWithStepsForPostOps() {
    const Node bare = WithoutEpilogue(node_);
    WeightedLowering lowering(context_, bare, weighted_);
    LATHE_ASSIGN_OR_RETURN(const Attempt attempt, lowering.TryFloat32());
    LATHE_ASSIGN_OR_RETURN(const Copy copy, lowering.Emit(attempt));
    LATHE_RETURN_IF_ERROR(AddPostOpSteps(context_, node_, copy));
    context_.Define(node_.outputs[0], copy);
    return absl::OkStatus();
  }

  absl::StatusOr<Attempt> TryFloat32() { return Try({}, Attempt()); }

  absl::StatusOr<Attempt> TryBfloat16() {
    Attempt attempt;
    attempt.source = {DataType::kBfloat16, 1, 0};
    const Encoding wanted = context_.WantedEncoding(node_.outputs[0]);
    if (wanted.type == DataType::kBfloat16) attempt.destination = wanted;
    return Try({}, std::move(attempt));
  }

  absl::StatusOr<Attempt> TryInt8() {
    LATHE_ASSIGN_OR_RETURN(const Encoding stored,
                           context_.StoredEncoding(weighted_.source));
    if (!stored.IsLevels() || !node_.quantized_weights) {
      return absl::UnimplementedError("no 8-bit source and weights");
    }
    if (!HasExactInt8() && MaySaturate(stored)) {
      return absl::UnimplementedError("sums of 16 bits would saturate");
    }
    Attempt attempt;
    attempt.source = stored;
    LATHE_ASSIGN_OR_RETURN(attempt.destination, Int8Destination());
    std::vector<float> scales = node_.quantized_weights->scales;
    for (float& scale : scales) {
      scale *= stored.scale * weighted_.factor;
    }
    return Try(std::move(scales), std::move(attempt));
  }

  // Whether kernels without VNNI may be wrong: they add two u8 x s8 products in
  // 16 bits, and halve the weights of s8 sources.
  bool MaySaturate(const Encoding& source) const {
    constexpr int kMostLevel = INT16_MAX / (2 * UINT8_MAX);
    const auto& levels = node_.quantized_weights->levels;
    return source.type != DataType::kUint8 ||
           std::any_of(levels.begin(), levels.end(), [](int8_t level) {
             return std::abs(level) > kMostLevel;
           });
  }

  // A sum in place wants both 8-bit or both float.
  absl::StatusOr<Encoding> Int8Destination() {
    const Encoding wanted = context_.WantedEncoding(node_.outputs[0]);
    if (!wanted.IsLevels()) return wanted;
    for (const PostOp& op : node_.post_ops) {
      if (op.kind != PostOp::Kind::kAdd) continue;
      const ValueId value = node_.inputs[op.input];
      if (!IsFullAddend(context_, node_, value)) continue;
      LATHE_ASSIGN_OR_RETURN(const Encoding stored,
                             context_.StoredEncoding(value));
      if (!stored.IsLevels()) return FloatEncoding();
    }
    return wanted;
  }

  // `scales`: worth of an accumulator, by channel or one; empty for float.
  absl::StatusOr<Attempt> Try(std::vector<float> scales, Attempt attempt) {
    attempt.bias = weighted_.bias;
    int source_zero_point = 0;
    if (attempt.source.IsLevels() && attempt.source.zero_point != 0) {
      if (weighted_.is_padded) {
        source_zero_point = attempt.source.zero_point;
      } else {
        FoldZeroPoint(scales, attempt.source.zero_point, &attempt.bias);
      }
    }
    LATHE_ASSIGN_OR_RETURN(
        attempt.epilogue,
        MakeEpilogue(context_, node_, std::move(scales), attempt.destination,
                     weighted_.destination_shape));
    attempt.epilogue.attributes.source_zero_point = source_zero_point;
    ScaleBias(attempt.epilogue, &attempt.bias);
    const DataType weights_type =
        attempt.source.IsLevels() ? DataType::kInt8 : attempt.source.type;
    LATHE_ASSIGN_OR_RETURN(
        attempt.kernel,
        weighted_.make(
            KernelDesc(weighted_.source_shape, attempt.source.type),
            AnyDesc(MergedShape(), weights_type),
            KernelDesc(weighted_.destination_shape, attempt.destination.type),
            !attempt.bias.empty(), attempt.epilogue.attributes));
    return attempt;
  }

  // Of the weights as the kernel takes them.
  Shape MergedShape() const {
    return weighted_.merged_groups == 1
               ? weighted_.weights_shape
               : lathe::MergedShape(weighted_.weights_shape,
                                    weighted_.merged_groups);
  }

  void ScaleBias(const Epilogue& epilogue, std::vector<float>* bias) const {
    if (epilogue.bias_offset != 0) bias->resize(weighted_.channels, 0);
    for (float& value : *bias) {
      value = value * epilogue.bias_factor + epilogue.bias_offset;
    }
  }

  MemoryDesc KernelDesc(const Shape& shape, DataType type) const {
    return weighted_.is_flat ? PlainDesc(shape, type) : AnyDesc(shape, type);
  }

  // Without padding a zero point is a constant for each channel.
  void FoldZeroPoint(absl::Span<const float> scales, int zero_point,
                     std::vector<float>* bias) const {
    const auto& levels = node_.quantized_weights->levels;
    bias->resize(weighted_.channels, 0);
    for (int64_t c = 0; c < weighted_.channels; ++c) {
      int64_t sum = 0;
      for (int64_t i = 0; i < weighted_.elements_per_channel; ++i) {
        sum +=
            levels[c * weighted_.channel_stride + i * weighted_.element_stride];
      }
      (*bias)[c] -= scales[scales.size() == 1 ? 0 : c] *
                    static_cast<float>(sum * zero_point);
    }
  }

  // How a value lies that the kernel sees as `desc`.
  MemoryDesc ValueDesc(ValueId value, const MemoryDesc& desc,
                       DataType type) const {
    return weighted_.is_flat ? PlainDesc(context_.shape(value), type) : desc;
  }

  // Adds the steps; returns where the result lies.
  absl::StatusOr<Copy> Emit(const Attempt& attempt) {
    const Kernel& kernel = attempt.kernel;
    const ValueId output = node_.outputs[0];
    LATHE_ASSIGN_OR_RETURN(
        const Copy source,
        context_.Fetch(
            weighted_.source, attempt.source,
            ValueDesc(weighted_.source, kernel.source, attempt.source.type)));
    LATHE_ASSIGN_OR_RETURN(const Location weights, Weights(attempt));
    std::vector<Operand> operands = {
        Reads(DNNL_ARG_SRC, source, kernel.source),
        Reads(DNNL_ARG_WEIGHTS, weights, kernel.weights)};
    if (!attempt.bias.empty()) operands.push_back(Bias(attempt));
    const MemoryDesc output_desc =
        ValueDesc(output, kernel.destination, attempt.destination.type);
    std::optional<Copy> destination;
    for (const FusedAddend& addend : attempt.epilogue.addends) {
      LATHE_RETURN_IF_ERROR(
          AddAddend(attempt, addend, output_desc, &operands, &destination));
    }
    if (!destination) {
      destination = context_.NewCopy(attempt.destination, output_desc);
    }
    operands.push_back(Writes(DNNL_ARG_DST, *destination, kernel.destination));
    LATHE_RETURN_IF_ERROR(
        context_.AddKernel(weighted_.kind, kernel, std::move(operands)));
    return Copy{attempt.destination, output_desc, destination->location};
  }

  absl::Status AddAddend(const Attempt& attempt, const FusedAddend& addend,
                         const MemoryDesc& output_desc,
                         std::vector<Operand>* operands,
                         std::optional<Copy>* destination) {
    if (addend.is_sum) {
      LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                             WithType(output_desc, addend.encoding.type));
      LATHE_ASSIGN_OR_RETURN(
          *destination,
          context_.FetchForUpdate(addend.value, addend.encoding, desc));
      return absl::OkStatus();
    }
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context_.FetchPlain(addend.value));
    operands->push_back(Reads(FusedOpArgument(addend.op), copy,
                              attempt.epilogue.attributes.ops[addend.op].desc));
    return absl::OkStatus();
  }

  absl::StatusOr<Location> MergedWeights(const Attempt& attempt) {
    const Shape& shape = weighted_.weights_shape;
    const int64_t merged = weighted_.merged_groups;
    if (attempt.source.IsLevels()) {
      const auto levels = MergeGroups(
          absl::MakeConstSpan(node_.quantized_weights->levels), shape, merged);
      return context_.NewReorderedConstant(
          levels.data(), PlainDesc(MergedShape(), DataType::kInt8),
          attempt.kernel.weights);
    }
    const auto values =
        MergeGroups(weighted_.weights->values<float>(), shape, merged);
    return context_.NewReorderedConstant(
        values.data(), PlainDesc(MergedShape(), DataType::kFloat32),
        attempt.kernel.weights);
  }

  absl::StatusOr<Location> Weights(const Attempt& attempt) {
    if (weighted_.merged_groups > 1) return MergedWeights(attempt);
    const Shape& shape = weighted_.weights_shape;
    const auto& strides = weighted_.weights_strides;
    if (attempt.source.IsLevels()) {
      return context_.NewReorderedConstant(
          node_.quantized_weights->levels.data(),
          StridedDesc(shape, strides, DataType::kInt8), attempt.kernel.weights);
    }
    const MemoryDesc given = StridedDesc(shape, strides, DataType::kFloat32);
    const auto values = weighted_.weights->values<float>();
    if (weighted_.factor == 1) {
      return context_.NewReorderedConstant(values.data(), given,
                                           attempt.kernel.weights);
    }
    std::vector<float> scaled(values.begin(), values.end());
    for (float& value : scaled) value *= weighted_.factor;
    return context_.NewReorderedConstant(scaled.data(), given,
                                         attempt.kernel.weights);
  }

  Operand Bias(const Attempt& attempt) {
    const std::vector<float> bias =
        PreparedBias(attempt.bias, attempt.epilogue.attributes.scales);
    const Location location =
        context_.NewConstant(bias.data(), bias.size() * sizeof(float));
    return Reads(DNNL_ARG_BIAS, location,
                 PlainDesc({weighted_.channels}, DataType::kFloat32));
  }

  LoweringContext& context_;
  const Node& node_;
  const WeightedNode& weighted_;
};

}  // namespace

absl::Status LowerWeighted(LoweringContext& context, const Node& node,
                           const WeightedNode& weighted) {
  if (node.precision == v1::INT8_DYNAMIC) {
    return LowerDynamicLinear(context, node, weighted);
  }
  return WeightedLowering(context, node, weighted).Run();
}

}  // namespace lathe
