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

// A pool of a node, whose own shape of the output may lack sizes of 1.
struct Pool {
  Window window;
  bool is_average = false;
  bool counts_padding = false;
  Shape out;
};

// `copy` is of shape `pool.out`.
absl::Status DefinePooled(LoweringContext& context, const Node& node,
                          const Pool& pool, Copy copy) {
  const ValueId output = node.outputs[0];
  const Shape& shape = context.shape(output);
  if (shape != pool.out) {
    if (!IsRowMajor(copy.desc)) {
      const Copy plain = context.NewCopy(
          copy.encoding, PlainDesc(pool.out, copy.encoding.type));
      LATHE_RETURN_IF_ERROR(context.AddReorder(copy, plain));
      copy = plain;
    }
    copy.desc = PlainDesc(shape, copy.encoding.type);
  }
  context.Define(output, copy);
  return absl::OkStatus();
}

absl::Status LowerAverageOfLevels(LoweringContext& context, const Node& node,
                                  const Pool& pool, const Encoding& encoding) {
  const Shape& in = context.shape(node.inputs[0]);
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         context.Fetch(node.inputs[0], encoding,
                                       ChannelsLastDesc(in, encoding.type)));
  Encoding wanted = context.WantedEncoding(node.outputs[0]);
  if (!wanted.IsLevels()) wanted = FloatEncoding();
  const Copy destination =
      context.NewCopy(wanted, ChannelsLastDesc(pool.out, wanted.type));
  context.AddLoop("pool", "reference", {Reads(source), Writes(destination)},
                  AverageLevelsLoop(in[0], in[1], pool.window,
                                    pool.counts_padding, encoding, wanted));
  return DefinePooled(context, node, pool, destination);
}

PoolingSpec SpecOf(const Pool& pool, const MemoryDesc& source, DataType type) {
  const Window& window = pool.window;
  PoolingSpec spec;
  spec.algorithm = dnnl::algorithm::pooling_max;
  if (pool.is_average) {
    spec.algorithm = pool.counts_padding
                         ? dnnl::algorithm::pooling_avg_include_padding
                         : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  spec.source = source;
  spec.destination = AnyDesc(pool.out, type);
  spec.kernel = window.kernel;
  spec.strides = window.strides;
  spec.dilations = window.dilations;
  spec.pads_begin = window.pads_begin;
  spec.pads_end = window.pads_end;
  for (size_t d = 0; d < window.in.size(); ++d) {
    spec.pads_end[d] =
        std::max(spec.pads_end[d], Overhang(window, static_cast<int>(d)));
  }
  return spec;
}

// For the value as it lies; in another layout where oneDNN has only a plain
// kernel for that one, as for blocks of 4 channels.
absl::StatusOr<Kernel> MakeQuickPooling(const Pool& pool, const Shape& in,
                                        const Copy& stored) {
  const DataType type = stored.encoding.type;
  const auto kernel = MakePooling(SpecOf(pool, stored.desc, type));
  if (kernel.ok() && !IsReferenceImplementation(kernel->implementation)) {
    return kernel;
  }
  for (const MemoryDesc& desc :
       {ChannelsLastDesc(in, type), PlainDesc(in, type)}) {
    auto other = MakePooling(SpecOf(pool, desc, type));
    if (other.ok() && !IsReferenceImplementation(other->implementation)) {
      return other;
    }
  }
  return kernel;
}

absl::Status LowerPrimitive(LoweringContext& context, const Node& node,
                            const Pool& pool, const Copy& stored) {
  const ValueId input = node.inputs[0];
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel,
                         MakeQuickPooling(pool, context.shape(input), stored));
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         context.Fetch(input, stored.encoding, kernel.source));
  const Copy destination = context.NewCopy(stored.encoding, kernel.destination);
  LATHE_RETURN_IF_ERROR(context.AddKernel(
      "pool", kernel,
      {Reads(DNNL_ARG_SRC, source, kernel.source),
       Writes(DNNL_ARG_DST, destination, kernel.destination)}));
  return DefinePooled(context, node, pool, destination);
}

absl::StatusOr<bool> LowerAnyPool(LoweringContext& context, const Node& node,
                                  const Pool& pool) {
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(node.inputs[0]));
  if (pool.is_average && stored.encoding.IsLevels()) {
    LATHE_RETURN_IF_ERROR(
        LowerAverageOfLevels(context, node, pool, stored.encoding));
    return true;
  }
  if (pool.is_average && pool.counts_padding &&
      !WindowsEndInsidePadding(pool.window)) {
    return false;
  }
  LATHE_RETURN_IF_ERROR(LowerPrimitive(context, node, pool, stored));
  return true;
}

// What windows over each plane make of `in`.
Shape PooledShape(const Shape& in, const Window& window) {
  Shape out = {in[0], in[1]};
  out.insert(out.end(), window.out.begin(), window.out.end());
  return out;
}

bool IsPoolable(const LoweringContext& context, const Node& node) {
  const size_t rank = context.shape(node.inputs[0]).size();
  return context.type(node.inputs[0]) == DataType::kFloat32 &&
         node.post_ops.empty() && rank >= 3 && rank <= 5;
}

}  // namespace

absl::StatusOr<bool> LowerPool(LoweringContext& context, const Node& node) {
  if (node.op_type == "GlobalAveragePool" || node.op_type == "GlobalMaxPool") {
    return LowerGlobalPool(context, node, node.op_type == "GlobalAveragePool");
  }
  if (!IsPoolable(context, node)) return false;
  const Shape& in = context.shape(node.inputs[0]);
  Pool pool;
  LATHE_ASSIGN_OR_RETURN(
      pool.window, ResolveWindow(node, absl::MakeConstSpan(in).subspan(2), {}));
  pool.is_average = node.op_type == "AveragePool";
  pool.counts_padding = node.IntOr("count_include_pad", 0) != 0;
  pool.out = PooledShape(in, pool.window);
  return LowerAnyPool(context, node, pool);
}

absl::StatusOr<bool> LowerGlobalPool(LoweringContext& context, const Node& node,
                                     bool is_average) {
  if (!IsPoolable(context, node)) return false;
  const Shape& in = context.shape(node.inputs[0]);
  Pool pool;
  pool.window = GlobalWindow(absl::MakeConstSpan(in).subspan(2));
  pool.is_average = is_average;
  pool.out = PooledShape(in, pool.window);
  return LowerAnyPool(context, node, pool);
}

}  // namespace lathe
