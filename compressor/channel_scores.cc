#include "compressor/channel_scores.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"

namespace lathe {
namespace {

// The slices of `weights` along `axis`, one a row: a layer's filters.
std::vector<std::vector<float>> Filters(const Tensor& weights, int axis) {
  const absl::Span<const int64_t> dims(weights.shape());
  const int64_t inner = ElementCount(dims.subspan(axis + 1));
  const int64_t outer = ElementCount(dims.subspan(0, axis));
  const absl::Span<const float> values = weights.values<float>();
  std::vector<std::vector<float>> filters(dims[axis]);
  size_t at = 0;
  for (int64_t o = 0; o < outer; ++o) {
    for (std::vector<float>& filter : filters) {
      filter.insert(filter.end(), values.begin() + at,
                    values.begin() + at + inner);
      at += inner;
    }
  }
  return filters;
}

// The weights of each hidden unit: its rows in every gate of W and R.
std::vector<std::vector<float>> UnitWeights(const Graph& graph,
                                            const LayerChannels& layer) {
  const Node& node = graph.nodes()[layer.node];
  std::vector<std::vector<float>> units(layer.out_symbols.size());
  for (const int input : {1, 2}) {
    const std::vector<std::vector<float>> rows =
        Filters(*graph.value(node.inputs[input]).constant, layer.weight_axis);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::vector<float>& unit = units[r % units.size()];
      unit.insert(unit.end(), rows[r].begin(), rows[r].end());
    }
  }
  return units;
}

double SumOfMagnitudes(const std::vector<float>& filter) {
  double sum = 0;
  for (const float x : filter) sum += std::abs(x);
  return sum;
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return std::sqrt(sum);
}

std::vector<double> SumsOfDistances(
    const std::vector<std::vector<float>>& filters) {
  std::vector<double> sums(filters.size());
  for (size_t i = 0; i < filters.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double distance = Distance(filters[i], filters[j]);
      sums[i] += distance;
      sums[j] += distance;
    }
  }
  return sums;
}

std::vector<double> FilterScores(const std::vector<std::vector<float>>& filters,
                                 PruneCriterion criterion) {
  if (criterion == PruneCriterion::kGeometricMedian) {
    return SumsOfDistances(filters);
  }
  std::vector<double> scores;
  for (const std::vector<float>& filter : filters) {
    scores.push_back(criterion == PruneCriterion::kL2
                         ? Distance(filter, std::vector<float>(filter.size()))
                         : SumOfMagnitudes(filter));
  }
  return scores;
}

}  // namespace

const std::vector<std::string>& PruneCriterionNames() {
  static const auto* const names = new std::vector<std::string>{
      "l1", "l2", "fpgm", "activation", "taylor", "redundancy", "gamma"};
  return *names;
}

absl::StatusOr<PruneCriterion> ParsePruneCriterion(absl::string_view name) {
  const std::vector<std::string>& names = PruneCriterionNames();
  for (size_t i = 0; i < names.size(); ++i) {
    if (name == names[i]) return static_cast<PruneCriterion>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "criterion = '", name, "', not one of ", absl::StrJoin(names, ", ")));
}

std::vector<double> ScoreByWeights(const Graph& graph,
                                   const ChannelGroups& groups,
                                   PruneCriterion criterion) {
  std::vector<double> scores(groups.symbol_count);
  for (const LayerChannels& layer : groups.layers) {
    const Node& node = graph.nodes()[layer.node];
    const std::vector<double> of_filters = FilterScores(
        IsRecurrent(layer)
            ? UnitWeights(graph, layer)
            : Filters(*graph.value(node.inputs[1]).constant, layer.weight_axis),
        criterion);
    for (size_t i = 0; i < of_filters.size(); ++i) {
      scores[layer.out_symbols[i]] += of_filters[i];
    }
  }
  return scores;
}

}  // namespace lathe
