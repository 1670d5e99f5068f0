// Why a layer of the chosen configuration is as it is, in words: what the
// latency table and the sensitivity of trial 0 say of the choice and of the
// other ones.
#ifndef LATHE_CLIENT_CLI_LAYER_REASONS_H_
#define LATHE_CLIENT_CLI_LAYER_REASONS_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/types.pb.h"

namespace lathe {

struct LayerReason {
  std::string name;
  // Of the layer at the original's channels, microseconds: in f32, and in the
  // precision chosen (with what is converted for it); none where the table has
  // no entry.
  std::optional<double> f32_us;
  std::optional<double> chosen_us;
  // When this layer's precision alone is changed: correct answers lost, as a
  // share of the samples (negative: won), and the divergence in nats. None
  // where it was not measured, or nothing was changed.
  std::optional<double> lost_ratio;
  std::optional<double> divergence;
  // For instance "int8 is not faster here: 12.1 us against 11.0; 40 % of it is
  // reorder".
  std::string why;
};

// One for each layer of `baseline`'s space, by what `plan` chooses for it.
//
// REQUIRES: the plan is legal in the space.
std::vector<LayerReason> ExplainLayers(const v1::BaselineReport& baseline,
                                       const v1::CompressionPlan& plan);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_LAYER_REASONS_H_
