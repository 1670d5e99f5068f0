#include "agent/sensitivity_rows.h"

#include <cmath>
#include <optional>

#include "agent/sensitivity_table.h"

namespace lathe {
namespace {

// The decision that an entry changes, and how.
std::optional<SingleChange> ChangeOf(const DecisionSpace& space,
                                     const v1::Sensitivity::Entry& entry) {
  const v1::SearchSpace& layers = space.space();
  if (entry.layer() < 0 || entry.layer() >= layers.layers_size()) {
    return std::nullopt;
  }
  const v1::LayerChoice& choice = entry.choice();
  const int group = space.group_of(entry.layer());
  const std::vector<double>& ratios = space.groups()[group].keep_ratios;
  for (size_t c = 1; c < ratios.size(); ++c) {
    if (ratios[c] == choice.keep_ratio()) {
      return SingleChange{space.keep_decision(group), static_cast<int>(c)};
    }
  }
  const v1::Layer& layer = layers.layers(entry.layer());
  for (int o = 1; o < layer.precisions_size(); ++o) {
    if (layer.precisions(o).precision() == choice.precision() &&
        layer.precisions(o).weight_bits() == choice.weight_bits()) {
      return SingleChange{space.option_decision(entry.layer()), o};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Evaluated> SensitivityRows(const SearchCore& core) {
  std::vector<Evaluated> rows;
  for (const v1::Sensitivity::Entry& entry :
       core.context().sensitivity.entries()) {
    const std::optional<SingleChange> change = ChangeOf(core.space(), entry);
    if (!change || !std::isfinite(entry.kl_divergence())) continue;
    Evaluated& row = rows.emplace_back();
    row.choices.assign(core.space().size(), 0);
    row.choices[change->decision] = change->choice;
    row.divergence = entry.kl_divergence();
  }
  return rows;
}

}  // namespace lathe
