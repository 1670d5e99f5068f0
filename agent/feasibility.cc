#include "agent/feasibility.h"

#include <algorithm>

namespace lathe {

Feasibility::Feasibility(const DecisionSpace* space,
                         const std::vector<Evaluated>& rows)
    : space_(space), tried_(space->space().layers_size()) {
  for (const Evaluated& row : rows) {
    for (size_t layer = 0; layer < tried_.size(); ++layer) {
      Tried& tried =
          tried_[layer][PlaceOf(row.choices, static_cast<int>(layer))];
      ++(row.is_feasible ? tried.feasible : tried.infeasible);
    }
  }
}

int Feasibility::PlaceOf(absl::Span<const int> plan, int layer) const {
  const int options = space_->space().layers(layer).precisions_size();
  const int keep = plan[space_->keep_decision(space_->group_of(layer))];
  return keep * options + plan[space_->option_decision(layer)];
}

int Feasibility::Doubts(absl::Span<const int> plan) const {
  int doubts = 0;
  for (size_t layer = 0; layer < tried_.size(); ++layer) {
    const auto it = tried_[layer].find(PlaceOf(plan, static_cast<int>(layer)));
    if (it == tried_[layer].end() || it->second.feasible > 0) continue;
    doubts = std::max(doubts, it->second.infeasible);
  }
  return doubts;
}

std::vector<Evaluated> Feasibility::Telling(
    const std::vector<Evaluated>& rows) const {
  std::vector<Evaluated> telling;
  for (const Evaluated& row : rows) {
    if (row.is_feasible || Doubts(row.choices) == 0) telling.push_back(row);
  }
  return telling;
}

}  // namespace lathe
