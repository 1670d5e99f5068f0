// A search space seen as an ordered list of small decisions, and plans as one
// number per decision: what strategies work on.
#ifndef LATHE_AGENT_DECISIONS_H_
#define LATHE_AGENT_DECISIONS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// One index per decision of a DecisionSpace. All zeros is the uncompressed
// model.
using Choices = std::vector<int>;

struct Decision {
  // Keep ratio of a group, or precision option of a layer.
  bool is_keep = false;
  // The option's layer, or the group's first layer.
  int layer = 0;
  // Index into DecisionSpace::groups() of that layer's group.
  int group = 0;
  // How many choices there are, at least 1.
  int count = 0;
};

// Layers that keep the same channels.
struct KeepGroup {
  // Legal for every layer of the group, as the first layer lists them; the
  // first is 1.
  std::vector<double> keep_ratios;
  // Ascending.
  std::vector<int> layers;
  // Output channels of the first layer.
  int64_t channels = 0;
};

// Immutable. Groups are numbered by their first layers. An option is decided
// after every keep ratio that the layer's cost depends on.
class DecisionSpace {
 public:
  // Errors:
  //   InvalidArgument - a layer has no choices, lists one twice, does not
  //     begin with keep ratio 1, or names an unknown input group.
  static absl::StatusOr<DecisionSpace> Make(v1::SearchSpace space);

  const v1::SearchSpace& space() const { return space_; }
  const std::vector<Decision>& decisions() const { return decisions_; }
  const std::vector<KeepGroup>& groups() const { return groups_; }
  int size() const { return static_cast<int>(decisions_.size()); }

  // Index of a layer's group, and of the groups that its input comes from
  // (ascending).
  int group_of(int layer) const { return group_of_[layer]; }
  const std::vector<int>& inputs_of(int layer) const {
    return inputs_of_[layer];
  }
  // Index of the decision.
  int option_decision(int layer) const { return option_decision_[layer]; }
  int keep_decision(int group) const { return keep_decision_[group]; }

  const v1::PrecisionOption& option(int layer, int choice) const {
    return space_.layers(layer).precisions(choice);
  }
  // Output channels that a layer keeps at choice `keep` of its group.
  int64_t OutChannels(int layer, int keep) const;
  // Input channels that are left when group g takes keep choice keeps[g].
  int64_t InChannels(int layer, absl::Span<const int> keeps) const;
  // Keep choices by group.
  std::vector<int> Keeps(absl::Span<const int> choices) const;

  // Number of plans; exact below 2^53, infinite when too large for a double.
  double PlanCount() const;

  v1::CompressionPlan ToPlan(absl::Span<const int> choices) const;
  // Nothing when the plan is not legal.
  std::optional<Choices> FromPlan(const v1::CompressionPlan& plan) const;

 private:
  v1::SearchSpace space_;
  std::vector<Decision> decisions_;
  std::vector<KeepGroup> groups_;
  std::vector<int> group_of_;
  std::vector<std::vector<int>> inputs_of_;
  std::vector<int> option_decision_;
  std::vector<int> keep_decision_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DECISIONS_H_
