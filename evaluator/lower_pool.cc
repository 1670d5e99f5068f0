#include <algorithm>

#include "base/status.h"
#include "compressor/window.h"
#include "evaluator/average_levels.h"
#include "evaluator/lower_ops.h"

namespace lathe {
namespace {

// Where the last window ends behind the input.
int64_t Overhang(const Window& window, int d) {
  const int64_t reach = (window.kernel[d] - 1) * window.dilations[d] + 1;
  return (window.out[d] - 1) * window.strides[d] + reach -
         window.pads_begin[d] - window.in[d];
}

Window GlobalWindow(absl::Span<const int64_t> in) {
  Window window;
  window.in.assign(in.begin(), in.end());
  window.kernel = window.in;
  window.out = window.strides = window.dilations =
      std::vector<int64_t>(in.size(), 1);
  window.pads_begin = window.pads_end = std::vector<int64_t>(in.size(), 0);
  return window;
}

// oneDNN divides by the whole window where padding counts; ONNX leaves out
// what ceil_mode adds.
bool WindowsEndInsidePadding(const Window& window) {
  for (size_t d = 0; d < window.in.size(); ++d) {
    if (Overhang(window, static_cast<int>(d)) > window.pads_end[d]) {
      return false;
    }
  }
  return true;
}

absl::Status LowerAverageOfLevels(LoweringContext& context, const Node& node,
                                  const Window& window, bool counts_padding,
                                  const Encoding& encoding) {
  const Shape& in = context.shape(node.inputs[0]);
  const ValueId output = node.outputs[0];
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         context.Fetch(node.inputs[0], encoding,
                                       ChannelsLastDesc(in, encoding.type)));
  Encoding wanted = context.WantedEncoding(output);
  if (!wanted.IsLevels()) wanted = FloatEncoding();
  const Copy destination = context.NewCopy(
      wanted, ChannelsLastDesc(context.shape(output), wanted.type));
  context.AddLoop("pool", "reference", {Reads(source), Writes(destination)},
                  AverageLevelsLoop(in[0], in[1], window, counts_padding,
                                    encoding, wanted));
  context.Define(output, destination);
  return absl::OkStatus();
}

absl::Status LowerPrimitive(LoweringContext& context, const Node& node,
                            const Window& window, dnnl::algorithm algorithm,
                            const Copy& stored) {
  const ValueId output = node.outputs[0];
  PoolingSpec spec;
  spec.algorithm = algorithm;
  spec.source = stored.desc;
  spec.destination = AnyDesc(context.shape(output), stored.encoding.type);
  spec.kernel = window.kernel;
  spec.strides = window.strides;
  spec.dilations = window.dilations;
  spec.pads_begin = window.pads_begin;
  spec.pads_end = window.pads_end;
  for (size_t d = 0; d < window.in.size(); ++d) {
    spec.pads_end[d] =
        std::max(spec.pads_end[d], Overhang(window, static_cast<int>(d)));
  }
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakePooling(spec));
  const Copy destination = context.NewCopy(stored.encoding, kernel.destination);
  LATHE_RETURN_IF_ERROR(context.AddKernel(
      "pool", kernel,
      {Reads(DNNL_ARG_SRC, stored, kernel.source),
       Writes(DNNL_ARG_DST, destination, kernel.destination)}));
  context.Define(output, destination);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> LowerPool(LoweringContext& context, const Node& node) {
  const Shape& in = context.shape(node.inputs[0]);
  const bool is_average =
      node.op_type == "AveragePool" || node.op_type == "GlobalAveragePool";
  const bool is_global =
      node.op_type == "GlobalAveragePool" || node.op_type == "GlobalMaxPool";
  const bool is_float = context.type(node.inputs[0]) == DataType::kFloat32;
  if (!is_float || !node.post_ops.empty() || in.size() < 3 || in.size() > 5) {
    return false;
  }
  const auto spatial = absl::MakeConstSpan(in).subspan(2);
  Window window = GlobalWindow(spatial);
  if (!is_global) {
    LATHE_ASSIGN_OR_RETURN(window, ResolveWindow(node, spatial, {}));
  }
  const bool counts_padding = node.IntOr("count_include_pad", 0) != 0;
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(node.inputs[0]));
  if (is_average && stored.encoding.IsLevels()) {
    LATHE_RETURN_IF_ERROR(LowerAverageOfLevels(
        context, node, window, counts_padding, stored.encoding));
    return true;
  }
  if (is_average && counts_padding && !WindowsEndInsidePadding(window)) {
    return false;
  }
  dnnl::algorithm algorithm = dnnl::algorithm::pooling_max;
  if (is_average) {
    algorithm = counts_padding ? dnnl::algorithm::pooling_avg_include_padding
                               : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  LATHE_RETURN_IF_ERROR(
      LowerPrimitive(context, node, window, algorithm, stored));
  return true;
}

}  // namespace lathe
