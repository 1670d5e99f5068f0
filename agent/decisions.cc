#include "agent/decisions.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/plan.h"

namespace lathe {
namespace {

absl::Status Invalid(const v1::Layer& layer, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("search space, layer ", layer.name(), ": ", rule));
}

absl::Status ValidateLayer(const v1::Layer& layer) {
  if (layer.precisions().empty()) {
    return Invalid(layer, "it has no precision");
  }
  if (layer.keep_ratios().empty() || layer.keep_ratios(0) != 1) {
    return Invalid(layer, "its first keep ratio must be 1");
  }
  std::set<std::pair<int, int>> options;
  for (const v1::PrecisionOption& option : layer.precisions()) {
    if (!options.emplace(option.precision(), option.weight_bits()).second) {
      return Invalid(layer, "a precision is listed twice");
    }
  }
  std::set<double> ratios;
  for (const double ratio : layer.keep_ratios()) {
    if (!(ratio > 0 && ratio <= 1)) {
      return Invalid(layer,
                     absl::StrCat("keep ratio ", ratio, " not in (0, 1]"));
    }
    if (!ratios.insert(ratio).second) {
      return Invalid(layer, "a keep ratio is listed twice");
    }
  }
  return absl::OkStatus();
}

bool Has(const v1::Layer& layer, double ratio) {
  return std::find(layer.keep_ratios().begin(), layer.keep_ratios().end(),
                   ratio) != layer.keep_ratios().end();
}

// Adds `layer` to a group, which keeps only the ratios that are legal for it.
void Join(const v1::Layer& layer, int index, KeepGroup* group) {
  if (group->layers.empty()) {
    group->keep_ratios.assign(layer.keep_ratios().begin(),
                              layer.keep_ratios().end());
    group->channels = layer.out_channels();
  }
  std::vector<double>& ratios = group->keep_ratios;
  ratios.erase(
      std::remove_if(ratios.begin(), ratios.end(),
                     [&layer](double ratio) { return !Has(layer, ratio); }),
      ratios.end());
  group->layers.push_back(index);
}

}  // namespace

absl::StatusOr<DecisionSpace> DecisionSpace::Make(v1::SearchSpace space) {
  DecisionSpace made;
  std::map<int, int> index_of_id;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    LATHE_RETURN_IF_ERROR(ValidateLayer(layer));
    const auto [it, is_new] = index_of_id.emplace(
        layer.group(), static_cast<int>(made.groups_.size()));
    if (is_new) made.groups_.emplace_back();
    Join(layer, i, &made.groups_[it->second]);
    made.group_of_.push_back(it->second);
  }
  for (const v1::Layer& layer : space.layers()) {
    std::set<int> inputs;
    for (const int id : layer.input_groups()) {
      const auto it = index_of_id.find(id);
      if (it == index_of_id.end()) {
        return Invalid(layer, absl::StrCat("unknown input group ", id));
      }
      inputs.insert(it->second);
    }
    made.inputs_of_.emplace_back(inputs.begin(), inputs.end());
  }
  // By (layer at which all is known, keep ratios first, layer).
  std::vector<std::tuple<int, int, int>> order;
  for (size_t g = 0; g < made.groups_.size(); ++g) {
    order.emplace_back(made.groups_[g].layers[0], 0, g);
  }
  for (int i = 0; i < space.layers_size(); ++i) {
    int known_at = i;
    for (const int g : made.inputs_of_[i]) {
      known_at = std::max(known_at, made.groups_[g].layers[0]);
    }
    order.emplace_back(known_at, 1, i);
  }
  std::sort(order.begin(), order.end());
  made.keep_decision_.resize(made.groups_.size());
  made.option_decision_.resize(space.layers_size());
  for (const auto& [known_at, is_option, index] : order) {
    Decision decision;
    decision.is_keep = is_option == 0;
    if (decision.is_keep) {
      made.keep_decision_[index] = made.size();
      decision.layer = made.groups_[index].layers[0];
      decision.group = index;
      decision.count = static_cast<int>(made.groups_[index].keep_ratios.size());
    } else {
      made.option_decision_[index] = made.size();
      decision.layer = index;
      decision.group = made.group_of_[index];
      decision.count = space.layers(index).precisions_size();
    }
    made.decisions_.push_back(decision);
  }
  made.space_ = std::move(space);
  return made;
}

int64_t DecisionSpace::OutChannels(int layer, int keep) const {
  return KeptChannels(space_.layers(layer).out_channels(),
                      groups_[group_of_[layer]].keep_ratios[keep]);
}

int64_t DecisionSpace::InChannels(int layer,
                                  absl::Span<const int> keeps) const {
  const int64_t whole = space_.layers(layer).in_channels();
  int64_t total = 0;
  int64_t kept = 0;
  for (const int g : inputs_of_[layer]) {
    total += groups_[g].channels;
    kept += KeptChannels(groups_[g].channels, groups_[g].keep_ratios[keeps[g]]);
  }
  if (total <= 0) return whole;
  return KeptChannels(whole,
                      static_cast<double>(kept) / static_cast<double>(total));
}

std::vector<int> DecisionSpace::Keeps(absl::Span<const int> choices) const {
  std::vector<int> keeps(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    keeps[g] = choices[keep_decision_[g]];
  }
  return keeps;
}

double DecisionSpace::PlanCount() const {
  double count = 1;
  for (const Decision& decision : decisions_) count *= decision.count;
  return count;
}

v1::CompressionPlan DecisionSpace::ToPlan(absl::Span<const int> choices) const {
  v1::CompressionPlan plan;
  for (int i = 0; i < space_.layers_size(); ++i) {
    const v1::PrecisionOption& chosen = option(i, choices[option_decision_[i]]);
    const int group = group_of_[i];
    v1::LayerChoice* layer = plan.add_layers();
    layer->set_precision(chosen.precision());
    layer->set_weight_bits(chosen.weight_bits());
    layer->set_keep_ratio(
        groups_[group].keep_ratios[choices[keep_decision_[group]]]);
  }
  return plan;
}

std::optional<Choices> DecisionSpace::FromPlan(
    const v1::CompressionPlan& plan) const {
  if (!ValidatePlan(space_, plan).ok()) return std::nullopt;
  Choices choices(decisions_.size());
  for (int i = 0; i < plan.layers_size(); ++i) {
    const v1::LayerChoice& chosen = plan.layers(i);
    for (int c = 0; c < space_.layers(i).precisions_size(); ++c) {
      if (option(i, c).precision() == chosen.precision() &&
          option(i, c).weight_bits() == chosen.weight_bits()) {
        choices[option_decision_[i]] = c;
      }
    }
    const std::vector<double>& ratios = groups_[group_of_[i]].keep_ratios;
    choices[keep_decision_[group_of_[i]]] = static_cast<int>(
        std::find(ratios.begin(), ratios.end(), chosen.keep_ratio()) -
        ratios.begin());
  }
  return choices;
}

}  // namespace lathe
