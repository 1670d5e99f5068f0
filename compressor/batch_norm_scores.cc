#include "compressor/batch_norm_scores.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"

namespace lathe {

std::map<std::string, std::vector<float>> BatchNormScales(const Graph& parsed) {
  std::map<std::string, std::vector<float>> scales;
  for (const Node& node : parsed.nodes()) {
    if (node.op_type != "BatchNormalization" || node.inputs.size() < 2 ||
        !parsed.IsConstant(node.inputs[1])) {
      continue;
    }
    const Tensor& gamma = *parsed.value(node.inputs[1]).constant;
    const std::optional<int> producer = parsed.Producer(node.inputs[0]);
    if (!producer || gamma.type() != DataType::kFloat32) continue;
    const absl::Span<const float> values = gamma.values<float>();
    scales[parsed.nodes()[*producer].name] = {values.begin(), values.end()};
  }
  return scales;
}

absl::StatusOr<std::vector<double>> ScoreByGamma(
    const Graph& graph, const ChannelGroups& groups,
    const std::map<std::string, std::vector<float>>& gammas) {
  std::vector<double> scores(groups.symbol_count);
  for (const ChannelGroup& group : groups.groups) {
    bool is_scored = group.is_pinned;
    for (const int index : group.layers) {
      const LayerChannels& layer = groups.layers[index];
      const auto found = gammas.find(graph.nodes()[layer.node].name);
      if (found == gammas.end() ||
          found->second.size() != layer.out_symbols.size()) {
        continue;
      }
      is_scored = true;
      for (size_t i = 0; i < layer.out_symbols.size(); ++i) {
        scores[layer.out_symbols[i]] += std::abs(found->second[i]);
      }
    }
    if (is_scored) continue;
    const std::string& name =
        graph.nodes()[groups.layers[group.layers[0]].node].name;
    return absl::FailedPreconditionError(
        absl::StrCat("layer ", name,
                     " and those that lose channels with it have no batch norm "
                     "behind them; choose another criterion than gamma"));
  }
  return scores;
}

}  // namespace lathe
