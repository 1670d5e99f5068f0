#include "agent/single_probes.h"

#include <algorithm>

namespace lathe {

std::optional<SingleChange> AsSingleChange(const Choices& choices) {
  std::optional<SingleChange> change;
  for (size_t d = 0; d < choices.size(); ++d) {
    if (choices[d] == 0) continue;
    if (change) return std::nullopt;
    change = SingleChange{static_cast<int>(d), choices[d]};
  }
  return change;
}

SingleProbes::SingleProbes(const SearchCore* core, double share)
    : core_(*core),
      left_(static_cast<size_t>(std::max(
          1.0, share * static_cast<double>(core->context().trials)))) {}

std::optional<Choices> SingleProbes::Next() {
  if (left_ == 0) return std::nullopt;
  for (const SingleChange& change : UsefulChanges(core_, left_)) {
    Choices probe(core_.space().size(), 0);
    probe[change.decision] = change.choice;
    if (core_.IsKnown(probe)) continue;
    --left_;
    return probe;
  }
  left_ = 0;
  return std::nullopt;
}

}  // namespace lathe
