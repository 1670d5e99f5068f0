#include "compressor/prune.h"

#include <algorithm>
#include <utility>

#include "compressor/graph_edit.h"
#include "proto/plan.h"

namespace lathe {
namespace {

int64_t CountKept(absl::Span<const int> symbols,
                  const std::vector<bool>& is_kept) {
  return std::count_if(symbols.begin(), symbols.end(),
                       [&is_kept](int symbol) { return is_kept[symbol]; });
}

std::vector<int64_t> ConstantInts(const GraphParts& parts, ValueId id) {
  const absl::Span<const int64_t> values =
      parts.values[id].constant->values<int64_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

void CutConstant(const ChannelRewrite& rewrite,
                 const std::vector<bool>& is_kept, GraphParts* parts) {
  Node& node = parts->nodes[rewrite.node];
  const Tensor old = *parts->values[node.inputs[rewrite.input]].constant;
  SetConstantInput(
      parts, rewrite.node, rewrite.input,
      TakeAlongAxis(old, rewrite.axis, KeptIndices(rewrite.symbols, is_kept)));
  if (rewrite.input == 1) {
    parts->nodes[rewrite.node].quantized_weights.reset();
  }
}

void CutPads(const ChannelRewrite& rewrite, const std::vector<bool>& is_kept,
             GraphParts* parts) {
  const absl::Span<const int> symbols(rewrite.symbols);
  const int64_t before = CountKept(symbols.subspan(0, rewrite.before), is_kept);
  const int64_t after =
      CountKept(symbols.subspan(symbols.size() - rewrite.after), is_kept);
  const auto cut = [&rewrite, before, after](std::vector<int64_t> pads) {
    pads[rewrite.axis] = before;
    pads[rewrite.axis + pads.size() / 2] = after;
    return pads;
  };
  Node& node = parts->nodes[rewrite.node];
  const auto attribute = node.attributes.find("pads");
  if (attribute != node.attributes.end()) {
    attribute->second = cut(std::get<std::vector<int64_t>>(attribute->second));
    return;
  }
  const std::vector<int64_t> pads =
      cut(ConstantInts(*parts, node.inputs[rewrite.input]));
  SetConstantInput(
      parts, rewrite.node, rewrite.input,
      Tensor::Of<int64_t>({static_cast<int64_t>(pads.size())}, pads));
}

void CutTargetShape(const ChannelRewrite& rewrite,
                    const std::vector<bool>& is_kept, GraphParts* parts) {
  const ValueId id = parts->nodes[rewrite.node].inputs[rewrite.input];
  std::vector<int64_t> shape = ConstantInts(*parts, id);
  shape[rewrite.axis] = CountKept(rewrite.symbols, is_kept);
  SetConstantInput(
      parts, rewrite.node, rewrite.input,
      Tensor::Of<int64_t>({static_cast<int64_t>(shape.size())}, shape));
}

bool LosesNothing(const ChannelRewrite& rewrite,
                  const std::vector<bool>& is_kept) {
  return CountKept(rewrite.symbols, is_kept) ==
         static_cast<int64_t>(rewrite.symbols.size());
}

}  // namespace

std::vector<bool> ChooseKeptSymbols(
    const ChannelGroups& groups, absl::Span<const double> scores,
    absl::Span<const double> keep_ratio_of_group) {
  std::vector<bool> is_kept(groups.symbol_count, true);
  for (size_t i = 0; i < groups.groups.size(); ++i) {
    for (std::vector<int> symbols : groups.groups[i].classes) {
      std::stable_sort(symbols.begin(), symbols.end(),
                       [&](int a, int b) { return scores[a] > scores[b]; });
      const int64_t kept = KeptChannels(symbols.size(), keep_ratio_of_group[i]);
      for (size_t k = kept; k < symbols.size(); ++k) {
        is_kept[symbols[k]] = false;
      }
    }
  }
  return is_kept;
}

std::vector<int64_t> KeptIndices(absl::Span<const int> symbols,
                                 const std::vector<bool>& is_kept) {
  std::vector<int64_t> indices;
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (is_kept[symbols[i]]) indices.push_back(static_cast<int64_t>(i));
  }
  return indices;
}

absl::StatusOr<Graph> RemoveChannels(const Graph& graph,
                                     const ChannelGroups& groups,
                                     const std::vector<bool>& is_kept) {
  GraphParts parts = graph.parts();
  for (const ChannelRewrite& rewrite : groups.rewrites) {
    if (LosesNothing(rewrite, is_kept)) continue;
    switch (rewrite.kind) {
      case ChannelRewrite::Kind::kConstant:
        CutConstant(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kPads:
        CutPads(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kTargetShape:
        CutTargetShape(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kConvGroups:
        parts.nodes[rewrite.node].attributes["group"] =
            CountKept(rewrite.symbols, is_kept);
        break;
    }
  }
  return Graph::Create(std::move(parts));
}

}  // namespace lathe
