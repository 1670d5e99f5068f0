#include "compressor/cost.h"

#include <zstd.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Each wins somewhere. SqueezeNet's 1.2 million levels take, in thousands of
// bytes: 1116 and 1117 at 8 bits, 664 and 666 at 5, 536 and 528 at 4, 435 and
// 390 at 3, 307 and 232 at 2 bits. The higher one takes 0.1-0.6 s for that.
constexpr int kCompressionLevels[] = {1, 19};

int64_t CodedBytes(const std::vector<int8_t>& levels) {
  std::string coded(ZSTD_compressBound(levels.size()), '\0');
  size_t least = coded.size();
  for (const int level : kCompressionLevels) {
    const size_t size = ZSTD_compress(coded.data(), coded.size(), levels.data(),
                                      levels.size(), level);
    // Only a lack of memory fails here; then this level gained nothing.
    if (ZSTD_isError(size) == 0) least = std::min(least, size);
  }
  return static_cast<int64_t>(least);
}

void AddQuantized(const QuantizedWeights& weights, ModelCost* cost) {
  const int64_t packed =
      (static_cast<int64_t>(weights.levels.size()) * weights.bits + 7) / 8;
  const int64_t scales = static_cast<int64_t>(weights.scales.size()) * 4;
  cost->packed_bytes += packed + scales;
  cost->entropy_bytes += std::min(packed, CodedBytes(weights.levels)) + scales;
}

// Adds each constant once, in the form in which its first reader needs it.
void AddConstants(const Graph& graph, ModelCost* cost) {
  std::set<ValueId> counted;
  for (const Node& node : graph.nodes()) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (!graph.IsConstant(id) || !counted.insert(id).second) continue;
      if (i == 1 && node.quantized_weights) {
        AddQuantized(*node.quantized_weights, cost);
        continue;
      }
      const Tensor& constant = *graph.value(id).constant;
      const bool is_bf16 = i == 1 && node.precision == v1::BF16;
      const int64_t bytes = is_bf16
                                ? constant.size() * 2
                                : static_cast<int64_t>(constant.bytes().size());
      cost->packed_bytes += bytes;
      cost->entropy_bytes += bytes;
    }
  }
}

// Multiply-accumulates of a node: output elements times the length of the sums
// behind each.
int64_t NodeMacs(const Node& node, absl::Span<const ValueInfo> infos) {
  const bool is_conv = node.op_type == "Conv";
  if (!node.domain.empty() ||
      (!is_conv && node.op_type != "Gemm" && node.op_type != "MatMul")) {
    return 0;
  }
  const int64_t outputs = ElementCount(infos[node.outputs[0]].shape);
  if (is_conv) {
    const absl::Span<const int64_t> weights(infos[node.inputs[1]].shape);
    return outputs * ElementCount(weights.subspan(1));
  }
  const Shape& a = infos[node.inputs[0]].shape;
  return outputs * (node.IntOr("transA", 0) != 0 ? a.front() : a.back());
}

}  // namespace

absl::StatusOr<ModelCost> ComputeCost(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, 1));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  ModelCost cost;
  AddConstants(graph, &cost);
  for (const Node& node : graph.nodes()) cost.macs += NodeMacs(node, infos);
  return cost;
}

}  // namespace lathe
