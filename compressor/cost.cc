#include "compressor/cost.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/shape_inference.h"
#include "compressor/tensor_coding.h"

namespace lathe {
namespace {

void AddQuantized(const QuantizedWeights& weights, ModelCost* cost) {
  const int64_t packed =
      (static_cast<int64_t>(weights.levels.size()) * weights.bits + 7) / 8;
  const int64_t scales = static_cast<int64_t>(weights.scales.size()) * 4;
  cost->packed_bytes +=
      packed + scales + static_cast<int64_t>(weights.zero_points.size());
}

// Of a tensor that is a codebook's, with the codebook; else as it is.
int64_t CodebookBytes(const Tensor& tensor) {
  if (tensor.type() != DataType::kFloat32) return tensor.bytes().size();
  return EncodeTensor(tensor.bytes(), sizeof(float), /*has_entropy=*/false)
      .bytes.size();
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
      if (i == 2 && node.quantized_recurrence) {
        AddQuantized(*node.quantized_recurrence, cost);
        continue;
      }
      const Tensor& constant = *graph.value(id).constant;
      const bool is_bf16 = i == 1 && node.precision == v1::BF16;
      const int64_t bytes = is_bf16
                                ? constant.size() * 2
                                : static_cast<int64_t>(constant.bytes().size());
      cost->packed_bytes += std::min(bytes, CodebookBytes(constant));
    }
  }
}

// Multiply-accumulates of a node: output elements times the length of the sums
// behind each.
int64_t NodeMacs(const Node& node, absl::Span<const ValueInfo> infos) {
  if (node.domain.empty() &&
      (node.op_type == "LSTM" || node.op_type == "GRU")) {
    // Every weight meets every step of every sample once.
    const Shape& input = infos[node.inputs[0]].shape;
    return input[0] * input[1] *
           (ElementCount(infos[node.inputs[1]].shape) +
            ElementCount(infos[node.inputs[2]].shape));
  }
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
  const int64_t batch = FixedBatch(graph).value_or(1);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  ModelCost cost;
  AddConstants(graph, &cost);
  for (const Node& node : graph.nodes()) cost.macs += NodeMacs(node, infos);
  cost.macs /= batch;
  return cost;
}

}  // namespace lathe
