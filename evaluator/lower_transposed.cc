// ConvTranspose as a convolution of the input, whose kernels are quicker: along
// an axis with stride s, output place s * m + r - pad is the sum over t of
// input[m - t] * weights[r + s * t]. One convolution computes all r as channels
// of their own; they are then put between each other.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/window.h"
#include "evaluator/activations.h"
#include "evaluator/lower_ops.h"
#include "evaluator/movement.h"
#include "evaluator/region_copy.h"

namespace lathe {
namespace {

// Taps that are computed for one that the weights have.
constexpr double kMostWaste = 2.5;

// The convolution, along each axis.
struct PhaseAxis {
  int64_t stride = 1;
  int64_t pad = 0;
  int64_t kernel = 1;
  int64_t taps = 1;
  // Values of m, from `first` on.
  int64_t first = 0;
  int64_t count = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
};

// None where no convolution does that.
std::optional<std::vector<PhaseAxis>> PhaseAxesOf(const Window& window) {
  std::vector<PhaseAxis> axes;
  double waste = 1;
  for (size_t d = 0; d < window.in.size(); ++d) {
    PhaseAxis axis;
    axis.stride = window.strides[d];
    axis.pad = window.pads_begin[d];
    axis.kernel = window.kernel[d];
    if (window.dilations[d] != 1 || axis.pad < 0) return std::nullopt;
    axis.taps = (axis.kernel + axis.stride - 1) / axis.stride;
    axis.first = axis.pad / axis.stride;
    const int64_t last = (axis.pad + window.out[d] - 1) / axis.stride;
    axis.count = last - axis.first + 1;
    axis.pad_begin = axis.taps - 1 - axis.first;
    axis.pad_end = axis.count - window.in[d] - axis.pad_begin + axis.taps - 1;
    if (axis.pad_begin < 0 || axis.pad_end < 0) return std::nullopt;
    waste *= static_cast<double>(axis.taps * axis.stride) /
             static_cast<double>(axis.kernel);
    axes.push_back(axis);
  }
  if (waste > kMostWaste) return std::nullopt;
  return axes;
}

// All combinations of one index in [0, size[d]) a dimension.
std::vector<std::vector<int64_t>> Combinations(const Shape& sizes) {
  std::vector<std::vector<int64_t>> all;
  std::vector<int64_t> index(sizes.size(), 0);
  for (int64_t i = 0; i < ElementCount(sizes); ++i) {
    all.push_back(index);
    for (size_t d = sizes.size(); d-- > 0;) {
      if (++index[d] < sizes[d]) break;
      index[d] = 0;
    }
  }
  return all;
}

class PhaseLowering {
 public:
  PhaseLowering(LoweringContext& context, const Node& node,
                const Tensor& weights, std::vector<PhaseAxis> axes)
      : context_(context),
        node_(node),
        weights_(weights),
        axes_(std::move(axes)),
        in_channels_(weights.shape()[0]),
        out_channels_(weights.shape()[1]) {
    Shape strides;
    for (const PhaseAxis& axis : axes_) strides.push_back(axis.stride);
    phases_ = Combinations(strides);
  }

  absl::Status Run(const std::vector<float>& bias,
                   const std::vector<FusedOp>& ops) {
    const Shape& in = context_.shape(node_.inputs[0]);
    const Shape weights_shape = WeightsShape();
    ConvolutionSpec spec;
    spec.source = AnyDesc(in, DataType::kFloat32);
    spec.weights = AnyDesc(weights_shape, DataType::kFloat32);
    Shape out = {in[0], weights_shape[0]};
    for (const PhaseAxis& axis : axes_) {
      out.push_back(axis.count);
      spec.strides.push_back(1);
      spec.dilations.push_back(1);
      spec.pads_begin.push_back(axis.pad_begin);
      spec.pads_end.push_back(axis.pad_end);
    }
    spec.destination = AnyDesc(out, DataType::kFloat32);
    spec.has_bias = !bias.empty();
    Attributes attributes;
    attributes.ops = ops;
    LATHE_ASSIGN_OR_RETURN(const Kernel kernel,
                           MakeConvolution(spec, attributes));
    if (!DescribeLayout(kernel.destination)) {
      return absl::UnimplementedError("a layout that cannot be described");
    }
    LATHE_ASSIGN_OR_RETURN(const Copy phases, AddConvolution(kernel, bias));
    return PutTogether(phases);
  }

 private:
  Shape WeightsShape() const {
    Shape shape = {static_cast<int64_t>(phases_.size()) * out_channels_,
                   in_channels_};
    for (const PhaseAxis& axis : axes_) shape.push_back(axis.taps);
    return shape;
  }

  // [phase, out, in, taps...], the last tap first, zeros where there is none.
  std::vector<float> PhaseWeights() const {
    Shape kernel;
    Shape taps;
    for (const PhaseAxis& axis : axes_) {
      kernel.push_back(axis.kernel);
      taps.push_back(axis.taps);
    }
    const int64_t volume = ElementCount(kernel);
    const auto all_taps = Combinations(taps);
    const auto given = weights_.values<float>();
    std::vector<float> weights(ElementCount(WeightsShape()), 0);
    int64_t at = 0;
    for (const auto& phase : phases_) {
      for (int64_t o = 0; o < out_channels_; ++o) {
        for (int64_t i = 0; i < in_channels_; ++i) {
          const float* own = &given[(i * out_channels_ + o) * volume];
          for (const auto& tap : all_taps) {
            const auto place = PlaceOf(phase, tap);
            if (place) weights[at] = own[*place];
            ++at;
          }
        }
      }
    }
    return weights;
  }

  // Where the weight of a tap lies in the kernel.
  std::optional<int64_t> PlaceOf(const std::vector<int64_t>& phase,
                                 const std::vector<int64_t>& tap) const {
    int64_t place = 0;
    for (size_t d = 0; d < axes_.size(); ++d) {
      const int64_t t = axes_[d].taps - 1 - tap[d];
      const int64_t k = phase[d] + axes_[d].stride * t;
      if (k >= axes_[d].kernel) return std::nullopt;
      place = place * axes_[d].kernel + k;
    }
    return place;
  }

  absl::StatusOr<Copy> AddConvolution(const Kernel& kernel,
                                      const std::vector<float>& bias) {
    LATHE_ASSIGN_OR_RETURN(
        const Copy source,
        context_.Fetch(node_.inputs[0], FloatEncoding(), kernel.source));
    const std::vector<float> values = PhaseWeights();
    LATHE_ASSIGN_OR_RETURN(
        const Location weights,
        context_.NewReorderedConstant(
            values.data(), PlainDesc(WeightsShape(), DataType::kFloat32),
            kernel.weights));
    std::vector<Operand> operands = {
        Reads(DNNL_ARG_SRC, source, kernel.source),
        Reads(DNNL_ARG_WEIGHTS, weights, kernel.weights)};
    if (!bias.empty()) {
      std::vector<float> repeated;
      for (size_t p = 0; p < phases_.size(); ++p) {
        repeated.insert(repeated.end(), bias.begin(), bias.end());
      }
      const auto size = static_cast<int64_t>(repeated.size());
      operands.push_back(
          Reads(DNNL_ARG_BIAS,
                context_.NewConstant(repeated.data(), size * sizeof(float)),
                PlainDesc({size}, DataType::kFloat32)));
    }
    const Copy phases = context_.NewCopy(FloatEncoding(), kernel.destination);
    operands.push_back(Writes(DNNL_ARG_DST, phases, kernel.destination));
    LATHE_RETURN_IF_ERROR(
        context_.AddKernel("conv_transpose", kernel, std::move(operands)));
    return phases;
  }

  struct PhaseCopier {
    RegionCopier copier;
    int64_t offset = 0;  // Of the destination, in bytes.
  };

  // None where the phase has no place in the output.
  std::optional<PhaseCopier> CopierOf(size_t index, const Layout& from,
                                      const Layout& to) const {
    const Shape& out = context_.shape(node_.outputs[0]);
    RegionCopy copy;
    copy.source = from;
    copy.destination = to;
    copy.extent = {out[0], out_channels_};
    copy.source_start = {0, static_cast<int64_t>(index) * out_channels_};
    int64_t offset = 0;
    for (size_t d = 0; d < axes_.size(); ++d) {
      const PhaseAxis& axis = axes_[d];
      // Of m = axis.first; negative where the phase begins one later.
      int64_t place = axis.first * axis.stride + phases_[index][d] - axis.pad;
      const int64_t skipped = place < 0 ? 1 : 0;
      place += skipped * axis.stride;
      const int64_t extent =
          (out[d + 2] - place + axis.stride - 1) / axis.stride;
      if (extent <= 0) return std::nullopt;
      copy.extent.push_back(extent);
      copy.source_start.push_back(skipped);
      offset += place * to.strides[d + 2];
      copy.destination.strides[d + 2] *= axis.stride;
    }
    copy.source_step.assign(out.size(), 1);
    copy.destination_start.assign(out.size(), 0);
    return PhaseCopier{RegionCopier(copy),
                       offset * static_cast<int64_t>(sizeof(float))};
  }

  absl::Status PutTogether(const Copy& phases) {
    const ValueId output = node_.outputs[0];
    const Copy destination = context_.NewCopy(
        FloatEncoding(),
        DescLike(phases.desc, context_.shape(output), DataType::kFloat32));
    const Layout from = *DescribeLayout(phases.desc);
    const Layout to = *DescribeLayout(destination.desc);
    std::vector<PhaseCopier> copiers;
    for (size_t p = 0; p < phases_.size(); ++p) {
      if (auto copier = CopierOf(p, from, to)) copiers.push_back(*copier);
    }
    context_.AddLoop(
        "conv_transpose", "copy", {Reads(phases), Writes(destination)},
        [copiers](absl::Span<char* const> operands) {
          for (const PhaseCopier& phase : copiers) {
            phase.copier.Run(operands[0], operands[1] + phase.offset);
          }
          return absl::OkStatus();
        });
    context_.Define(output, destination);
    return absl::OkStatus();
  }

  LoweringContext& context_;
  const Node& node_;
  const Tensor& weights_;
  const std::vector<PhaseAxis> axes_;
  const int64_t in_channels_;
  const int64_t out_channels_;
  // By phase, r of each axis.
  std::vector<std::vector<int64_t>> phases_;
};

}  // namespace

absl::StatusOr<bool> LowerTransposedAsConvolution(
    LoweringContext& context, const Node& node, const Tensor& weights,
    const std::vector<float>& bias, const Window& window) {
  if (node.IntOr("group", 1) != 1 || node.precision != v1::F32) return false;
  auto axes = PhaseAxesOf(window);
  std::vector<FusedOp> ops = FusedActivation(node);
  if (!axes || !node.post_ops.empty() || ops.size() > 1) return false;
  LATHE_RETURN_IF_ERROR(
      PhaseLowering(context, node, weights, *std::move(axes)).Run(bias, ops));
  return true;
}

}  // namespace lathe
