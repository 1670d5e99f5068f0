// Conv and ConvTranspose, one to three spatial dimensions.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"
#include "compressor/plain_sums.h"
#include "compressor/window.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// Errors of shapes that Conv and ConvTranspose have in common.
absl::Status CheckConvShapes(const OpCall& call, int64_t out_channels) {
  if (call.Rank(0) < 3 || call.Rank(0) > 5) {
    return call.Unsupported(
        absl::StrCat("input of shape ", ShapeToString(call.ShapeOf(0)),
                     "; only 1 to 3 spatial dimensions are supported"));
  }
  if (call.Rank(1) != call.Rank(0)) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(call.ShapeOf(1)),
                     " do not fit the input ", ShapeToString(call.ShapeOf(0))));
  }
  if (call.Has(2) && call.ShapeOf(2) != Shape{out_channels}) {
    return call.Invalid(absl::StrCat("bias of shape ",
                                     ShapeToString(call.ShapeOf(2)), ", not [",
                                     out_channels, "]"));
  }
  return absl::OkStatus();
}

absl::Status CheckGroups(const OpCall& call, int64_t groups, int64_t divided) {
  if (groups >= 1 && divided >= 1 && divided % groups == 0) {
    return absl::OkStatus();
  }
  return call.Invalid(absl::StrCat("group = ", groups, " does not divide ",
                                   divided, " channels"));
}

absl::StatusOr<Values> MakeOutput(const OpCall& call, int64_t channels,
                                  const absl::StatusOr<Window>& window) {
  if (!window.ok()) return call.Invalid(window.status().message());
  Shape shape = {call.ShapeOf(0)[0], channels};
  shape.insert(shape.end(), window->out.begin(), window->out.end());
  return Values{{DataType::kFloat32, std::move(shape)}};
}

absl::StatusOr<Values> ConvRule(const OpCall& call) {
  const int64_t out_channels = call.Rank(1) > 0 ? call.ShapeOf(1)[0] : 0;
  LATHE_RETURN_IF_ERROR(CheckConvShapes(call, out_channels));
  const Shape& in = call.ShapeOf(0);
  const Shape& weights = call.ShapeOf(1);
  const int64_t groups = call.node().IntOr("group", 1);
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, in[1]));
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, out_channels));
  if (weights[1] != in[1] / groups) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(weights), " read ",
                     weights[1], " channels a group, the input ",
                     ShapeToString(in), " has ", in[1] / groups));
  }
  return MakeOutput(call, out_channels,
                    ResolveWindow(call.node(), Spatial(in), Spatial(weights)));
}

ConvolutionSizes SizesOf(const OpCall& call, int64_t out_channels) {
  return {call.ShapeOf(0)[0], call.node().IntOr("group", 1), call.ShapeOf(0)[1],
          out_channels};
}

const float* BiasOf(const OpCall& call) {
  return call.Has(2) ? call.ValuesOf<float>(2).data() : nullptr;
}

absl::StatusOr<Tensors> ConvKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Window window,
                         ResolveWindow(call.node(), Spatial(call.ShapeOf(0)),
                                       Spatial(call.ShapeOf(1))));
  TensorBuilder<float> out(outputs[0]);
  Convolve(SizesOf(call, call.ShapeOf(1)[0]), window,
           call.ValuesOf<float>(0).data(), call.ValuesOf<float>(1).data(),
           BiasOf(call), out.data());
  return Only(std::move(out).Build());
}

absl::StatusOr<Values> ConvTransposeRule(const OpCall& call) {
  const int64_t groups = call.node().IntOr("group", 1);
  const int64_t per_group = call.Rank(1) > 1 ? call.ShapeOf(1)[1] : 0;
  if (groups < 1 || groups > (int64_t{1} << 31)) {
    return call.Invalid(absl::StrCat("group = ", groups, " is not positive"));
  }
  LATHE_RETURN_IF_ERROR(CheckConvShapes(call, per_group * groups));
  const Shape& in = call.ShapeOf(0);
  LATHE_RETURN_IF_ERROR(CheckGroups(call, groups, in[1]));
  if (call.ShapeOf(1)[0] != in[1]) {
    return call.Invalid(
        absl::StrCat("weights of shape ", ShapeToString(call.ShapeOf(1)),
                     " read ", call.ShapeOf(1)[0], " channels, the input ",
                     ShapeToString(in), " has ", in[1]));
  }
  return MakeOutput(call, per_group * groups,
                    ResolveTransposedWindow(call.node(), Spatial(in),
                                            Spatial(call.ShapeOf(1))));
}

absl::StatusOr<Tensors> ConvTransposeKernel(const OpCall& call,
                                            const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(
      const Window window,
      ResolveTransposedWindow(call.node(), Spatial(call.ShapeOf(0)),
                              Spatial(call.ShapeOf(1))));
  TensorBuilder<float> out(outputs[0]);
  ConvolveTransposed(SizesOf(call, outputs[0].shape[1]), window,
                     call.ValuesOf<float>(0).data(),
                     call.ValuesOf<float>(1).data(), BiasOf(call), out.data());
  return Only(std::move(out).Build());
}

}  // namespace

absl::Span<const OperatorDef> ConvOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Conv", 2, 3, OpTypes::kFloat32, ConvRule, ConvKernel, true},
      {"ConvTranspose", 2, 3, OpTypes::kFloat32, ConvTransposeRule,
       ConvTransposeKernel, true},
  };
  return kOperators;
}

}  // namespace lathe
