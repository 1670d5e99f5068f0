#include "compressor/channel_groups.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "base/status.h"
#include "compressor/channel_propagation.h"

namespace lathe {
namespace {

// Shapes for a batch that is not 1 where the model allows it, so that the batch
// is not mistaken for one of the sizes that reshapes may merge freely.
absl::StatusOr<std::vector<ValueInfo>> InferBatchedShapes(const Graph& graph) {
  const absl::StatusOr<std::vector<Shape>> batched = InputShapes(graph, 2);
  if (batched.ok()) {
    absl::StatusOr<std::vector<ValueInfo>> infos = InferShapes(graph, *batched);
    if (infos.ok()) return infos;
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> single,
                         InputShapes(graph, FixedBatch(graph).value_or(1)));
  return InferShapes(graph, single);
}

// Replaces symbols by what stands for them, numbered densely by first
// appearance.
class Numbering {
 public:
  explicit Numbering(SymbolTable* symbols) : symbols_(*symbols) {}

  void Apply(std::vector<int>* symbols) {
    for (int& symbol : *symbols) {
      const int found = symbols_.Find(symbol);
      symbol = number_.emplace(found, static_cast<int>(number_.size()))
                   .first->second;
    }
  }
  std::vector<bool> Pinned() {
    std::vector<bool> is_pinned(number_.size());
    for (const auto& [found, number] : number_) {
      is_pinned[number] = symbols_.IsPinned(found);
    }
    return is_pinned;
  }

 private:
  SymbolTable& symbols_;
  std::map<int, int> number_;
};

// How often each symbol appears in what: in the outputs of layers, by index, or
// in the parts that a Split or Slice makes, by negative numbers.
using Appearances = std::map<int, int>;

// By symbol.
std::vector<Appearances> CountAppearances(const ChannelGroups& groups) {
  std::vector<Appearances> appearances(groups.symbol_count);
  for (size_t i = 0; i < groups.layers.size(); ++i) {
    for (const int symbol : groups.layers[i].out_symbols) {
      ++appearances[symbol][static_cast<int>(i)];
    }
  }
  return appearances;
}

// For each layer the first layer that it is connected with.
std::vector<int> ConnectLayers(size_t layers,
                               const std::vector<Appearances>& appearances) {
  SymbolTable connected;
  for (size_t i = 0; i < layers; ++i) connected.Make(/*is_pinned=*/false);
  for (const Appearances& in_layers : appearances) {
    for (const auto& [layer, count] : in_layers) {
      connected.Unite(in_layers.begin()->first, layer);
    }
  }
  std::vector<int> first(layers);
  for (size_t i = 0; i < layers; ++i) {
    first[i] = connected.Find(static_cast<int>(i));
  }
  return first;
}

// Adds the parts of splits and slices, so that a class lies within one part and
// none of them loses all.
void CountParts(const ChannelGroups& groups,
                std::vector<Appearances>* appearances) {
  int part = -1;
  for (const ChannelRewrite& rewrite : groups.rewrites) {
    auto symbol = rewrite.symbols.begin();
    for (const int64_t size : rewrite.sizes) {
      for (int64_t i = 0; i < size; ++i) ++(*appearances)[*symbol++][part];
      --part;
    }
  }
}

void FormGroups(const std::vector<bool>& is_pinned, ChannelGroups* groups) {
  std::vector<Appearances> appearances = CountAppearances(*groups);
  const std::vector<int> first =
      ConnectLayers(groups->layers.size(), appearances);
  for (size_t i = 0; i < first.size(); ++i) {
    const bool is_first = first[i] == static_cast<int>(i);
    if (is_first) groups->groups.emplace_back();
    LayerChannels& layer = groups->layers[i];
    layer.group = is_first ? static_cast<int>(groups->groups.size()) - 1
                           : groups->layers[first[i]].group;
    groups->groups[layer.group].layers.push_back(static_cast<int>(i));
  }
  std::vector<std::map<Appearances, std::vector<int>>> classes(
      groups->groups.size());
  CountParts(*groups, &appearances);
  for (int symbol = 0; symbol < groups->symbol_count; ++symbol) {
    if (appearances[symbol].empty() ||
        appearances[symbol].rbegin()->first < 0) {
      continue;  // Of no layer.
    }
    const int group = groups->layers[appearances[symbol].rbegin()->first].group;
    classes[group][appearances[symbol]].push_back(symbol);
    if (is_pinned[symbol]) groups->groups[group].is_pinned = true;
  }
  for (size_t i = 0; i < classes.size(); ++i) {
    for (auto& [signature, symbols] : classes[i]) {
      groups->groups[i].classes.push_back(std::move(symbols));
    }
  }
}

}  // namespace

absl::StatusOr<ChannelGroups> FindChannelGroups(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferBatchedShapes(graph));
  ChannelPropagation propagation(graph, infos);
  propagation.Run();
  ChannelGroups groups;
  groups.layers = std::move(propagation.layers());
  groups.rewrites = std::move(propagation.rewrites());
  Numbering numbering(&propagation.symbols());
  for (LayerChannels& layer : groups.layers) {
    numbering.Apply(&layer.out_symbols);
    numbering.Apply(&layer.in_symbols);
  }
  for (ChannelRewrite& rewrite : groups.rewrites) {
    numbering.Apply(&rewrite.symbols);
  }
  const std::vector<bool> is_pinned = numbering.Pinned();
  groups.symbol_count = static_cast<int>(is_pinned.size());
  FormGroups(is_pinned, &groups);
  return groups;
}

std::vector<int> GroupOfSymbols(const ChannelGroups& groups) {
  std::vector<int> group(groups.symbol_count, -1);
  for (const LayerChannels& layer : groups.layers) {
    for (const int symbol : layer.out_symbols) group[symbol] = layer.group;
  }
  return group;
}

}  // namespace lathe
