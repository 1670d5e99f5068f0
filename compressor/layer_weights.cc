#include "compressor/layer_weights.h"

#include <utility>

#include "compressor/dynamic_grid.h"

namespace lathe {
namespace {

// Elements of weights[d + 1:].
int64_t Inner(const Shape& weights, size_t d) {
  return ElementCount(absl::MakeConstSpan(weights).subspan(d + 1));
}

int64_t IndexAlong(const Shape& weights, size_t d, int64_t element) {
  return element / Inner(weights, d) % weights[d];
}

bool IsTransposed(const Node& node) { return node.IntOr("transB", 0) != 0; }

}  // namespace

int64_t OutChannels(const Draft& draft, const Node& node) {
  const Shape& weights = draft.value(node.inputs[1]).constant->shape();
  if (node.op_type == "Gemm") return weights[IsTransposed(node) ? 0 : 1];
  if (node.op_type == "ConvTranspose") {
    return weights[1] * node.IntOr("group", 1);
  }
  return weights[0];
}

int64_t OutChannelOf(const Node& node, const Shape& weights, int64_t element) {
  if (node.op_type == "Gemm") {
    return IndexAlong(weights, IsTransposed(node) ? 0 : 1, element);
  }
  if (node.op_type == "ConvTranspose") {
    const int64_t per_group = weights[0] / node.IntOr("group", 1);
    return IndexAlong(weights, 0, element) / per_group * weights[1] +
           IndexAlong(weights, 1, element);
  }
  return IndexAlong(weights, 0, element);
}

int64_t InChannelOf(const Node& node, const Shape& weights, int64_t element) {
  if (node.op_type == "Gemm") {
    return IndexAlong(weights, IsTransposed(node) ? 1 : 0, element);
  }
  if (node.op_type == "ConvTranspose") return IndexAlong(weights, 0, element);
  const int64_t per_group = weights[0] / node.IntOr("group", 1);
  return IndexAlong(weights, 0, element) / per_group * weights[1] +
         IndexAlong(weights, 1, element);
}

std::optional<int64_t> ScaleAxis(const Node& node, const Shape& weights) {
  if (node.op_type == "Conv") return 0;
  if (node.op_type == "Gemm") return IsTransposed(node) ? 0 : 1;
  if (IsRecurrentNode(node)) return 1;
  if (node.op_type == "MatMul") return static_cast<int64_t>(weights.size()) - 1;
  if (node.op_type == "ConvTranspose" && node.IntOr("group", 1) == 1) return 1;
  return std::nullopt;
}

Tensor MapValues(const Tensor& tensor,
                 const std::function<double(int64_t, double)>& f) {
  const auto values = tensor.values<float>();
  std::vector<float> mapped(values.size());
  for (size_t i = 0; i < mapped.size(); ++i) {
    mapped[i] = static_cast<float>(f(static_cast<int64_t>(i), values[i]));
  }
  return Tensor::Of<float>(tensor.shape(), mapped);
}

std::optional<std::vector<double>> ChannelValues(const Tensor& tensor,
                                                 int64_t rank,
                                                 int64_t channels) {
  const Shape& shape = tensor.shape();
  const int64_t own_rank = static_cast<int64_t>(shape.size());
  if (tensor.type() != DataType::kFloat32 || own_rank > rank) {
    return std::nullopt;
  }
  for (int64_t d = 0; d < own_rank; ++d) {
    const bool is_channel = d + rank - own_rank == 1;
    if (shape[d] != 1 && !(is_channel && shape[d] == channels)) {
      return std::nullopt;
    }
  }
  const auto values = tensor.values<float>();
  if (values.size() == 1) return std::vector<double>(channels, values[0]);
  return std::vector<double>(values.begin(), values.end());
}

void SetConstant(Draft& draft, int index, int input, const std::string& suffix,
                 Tensor tensor) {
  std::vector<ValueId> inputs = draft.node(index).inputs;
  if (input >= static_cast<int>(inputs.size())) {
    inputs.resize(input + 1, kNoValue);
  }
  const ValueId old = inputs[input];
  if (old != kNoValue && draft.UseCount(old) == 1 && !draft.IsOutput(old)) {
    draft.MakeConstant(old, std::move(tensor));
    return;
  }
  inputs[input] =
      draft.AddConstant(draft.node(index).name + suffix, std::move(tensor));
  draft.SetInputs(index, std::move(inputs));
}

}  // namespace lathe
