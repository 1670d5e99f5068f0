#include "proto/latency_model.h"

#include <algorithm>
#include <map>

#include "proto/plan.h"

namespace lathe {

std::vector<std::optional<int>> SourceLayers(const v1::SearchSpace& space) {
  std::vector<std::optional<int>> sources;
  std::map<int, int> last_of_group;
  for (int i = 0; i < space.layers_size(); ++i) {
    std::optional<int> source;
    for (const int group : space.layers(i).input_groups()) {
      const auto last = last_of_group.find(group);
      if (last == last_of_group.end()) continue;
      source = std::max(source.value_or(0), last->second);
    }
    sources.push_back(source);
    last_of_group[space.layers(i).group()] = i;
  }
  return sources;
}

std::vector<int64_t> KeptInputChannels(const v1::SearchSpace& space,
                                       const v1::CompressionPlan& plan) {
  struct GroupChannels {
    int64_t whole = 0;
    int64_t kept = 0;
  };
  std::map<int, GroupChannels> groups;
  for (int i = 0; i < space.layers_size(); ++i) {
    const int64_t whole = space.layers(i).out_channels();
    groups.try_emplace(
        space.layers(i).group(),
        GroupChannels{whole, KeptChannels(whole, plan.layers(i).keep_ratio())});
  }
  std::vector<int64_t> kept_inputs;
  for (const v1::Layer& layer : space.layers()) {
    GroupChannels sum;
    for (const int group : layer.input_groups()) {
      sum.whole += groups[group].whole;
      sum.kept += groups[group].kept;
    }
    kept_inputs.push_back(
        sum.whole == 0
            ? layer.in_channels()
            : KeptChannels(layer.in_channels(),
                           static_cast<double>(sum.kept) / sum.whole));
  }
  return kept_inputs;
}

LatencyModel::LatencyModel(const v1::SearchSpace& space,
                           const v1::LatencyTable& table)
    : space_(space),
      curves_(space, table, /*whole_us=*/0),
      sources_(SourceLayers(space)),
      other_us_(table.other_us()) {}

double LatencyModel::PredictUs(const v1::CompressionPlan& plan) const {
  const std::vector<int64_t> in = KeptInputChannels(space_, plan);
  double us = other_us_;
  for (int i = 0; i < space_.layers_size(); ++i) {
    const v1::LayerChoice& choice = plan.layers(i);
    us += curves_.Us(
        i, choice.precision(), in[i],
        KeptChannels(space_.layers(i).out_channels(), choice.keep_ratio()));
    if (sources_[i].has_value()) {
      us += curves_.ConversionUs(i, choice.precision(),
                                 plan.layers(*sources_[i]).precision(), in[i]);
    }
  }
  return us;
}

}  // namespace lathe
