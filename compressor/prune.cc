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
    parts->nodes[rewrite.node].quantized_recurrence.reset();
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

// How many of the `sizes` consecutive symbols each part keeps.
std::vector<int64_t> KeptSizes(const ChannelRewrite& rewrite,
                               const std::vector<bool>& is_kept) {
  std::vector<int64_t> kept;
  int64_t at = 0;
  for (const int64_t size : rewrite.sizes) {
    const absl::Span<const int> symbols(rewrite.symbols);
    kept.push_back(CountKept(symbols.subspan(at, size), is_kept));
    at += size;
  }
  return kept;
}

// Sets the integers that stand in attribute `key`, or else in constant
// inputs[input], by `edit`.
template <typename Edit>
void EditInts(int index, int input, const char* key, Edit edit,
              GraphParts* parts) {
  Node& node = parts->nodes[index];
  const auto attribute = node.attributes.find(key);
  if (attribute != node.attributes.end()) {
    edit(&std::get<std::vector<int64_t>>(attribute->second));
    return;
  }
  const ValueId id = node.inputs[input];
  std::vector<int64_t> values = ConstantInts(*parts, id);
  edit(&values);
  SetConstantInput(
      parts, index, input,
      Tensor::Of<int64_t>(parts->values[id].constant->shape(), values));
}

void CutSplit(const ChannelRewrite& rewrite, const std::vector<bool>& is_kept,
              GraphParts* parts) {
  const std::vector<int64_t> sizes = KeptSizes(rewrite, is_kept);
  Node& node = parts->nodes[rewrite.node];
  node.attributes.erase("num_outputs");
  if (parts->opset < 13) {
    node.attributes["split"] = sizes;
    return;
  }
  SetConstantInput(
      parts, rewrite.node, rewrite.input,
      Tensor::Of<int64_t>({static_cast<int64_t>(sizes.size())}, sizes));
}

void CutSlice(const ChannelRewrite& rewrite, const std::vector<bool>& is_kept,
              GraphParts* parts) {
  const std::vector<int64_t> sizes = KeptSizes(rewrite, is_kept);
  EditInts(
      rewrite.node, 1, "starts",
      [&](std::vector<int64_t>* starts) { (*starts)[rewrite.axis] = sizes[0]; },
      parts);
  EditInts(
      rewrite.node, 2, "ends",
      [&](std::vector<int64_t>* ends) {
        (*ends)[rewrite.axis] = sizes[0] + sizes[1];
      },
      parts);
}

void CutIndices(const ChannelRewrite& rewrite, const std::vector<bool>& is_kept,
                GraphParts* parts) {
  const int64_t count = static_cast<int64_t>(rewrite.symbols.size());
  std::vector<int64_t> left;
  for (int64_t i :
       ConstantInts(*parts, parts->nodes[rewrite.node].inputs[rewrite.input])) {
    if (i < 0) i += count;
    if (!is_kept[rewrite.symbols[i]]) continue;
    left.push_back(CountKept(
        absl::Span<const int>(rewrite.symbols).subspan(0, i), is_kept));
  }
  SetConstantInput(
      parts, rewrite.node, rewrite.input,
      Tensor::Of<int64_t>({static_cast<int64_t>(left.size())}, left));
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
      case ChannelRewrite::Kind::kSplit:
        CutSplit(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kSlice:
        CutSlice(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kIndices:
        CutIndices(rewrite, is_kept, &parts);
        break;
      case ChannelRewrite::Kind::kHiddenSize:
        parts.nodes[rewrite.node].attributes["hidden_size"] =
            CountKept(rewrite.symbols, is_kept);
        break;
    }
  }
  return Graph::Create(std::move(parts));
}

}  // namespace lathe
