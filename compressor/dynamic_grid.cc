#include "compressor/dynamic_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compressor/reference_ops.h"

namespace lathe {

ActivationGrid DynamicGrid(float least, float most) {
  least = std::min(least, 0.0f);
  most = std::max(most, 0.0f);
  ActivationGrid grid;
  const float scale = (most - least) / 255.0f;
  // A scale that is no normal number would divide by nothing.
  if (!std::isfinite(scale) || scale < std::numeric_limits<float>::min()) {
    return grid;
  }
  grid.scale = scale;
  grid.zero_point = static_cast<int>(
      std::min(std::max(std::nearbyint(-least / scale), 0.0f), 255.0f));
  return grid;
}

ActivationGrid DynamicGridOf(absl::Span<const float> values) {
  float least = 0;
  float most = 0;
  for (const float x : values) {
    least = std::min(least, x);
    most = std::max(most, x);
  }
  return DynamicGrid(least, most);
}

Tensor RoundToOwnGrid(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  const ActivationGrid grid = DynamicGridOf(values);
  std::vector<float> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(),
                 [&grid](float x) { return ApplyGrid(grid, x); });
  return Tensor::Of<float>(tensor.shape(), rounded);
}

bool IsRecurrentNode(const Node& node) {
  return node.domain.empty() &&
         (node.op_type == "LSTM" || node.op_type == "GRU");
}

bool HasDynamicGrids(const Graph& graph) {
  return std::any_of(
      graph.nodes().begin(), graph.nodes().end(), [](const Node& node) {
        return node.precision == v1::INT8_DYNAMIC ||
               (node.domain.empty() && node.op_type == "DynamicQuantizeLinear");
      });
}

}  // namespace lathe
