// Whole plans' latency from a table of single layers.
#ifndef LATHE_PROTO_LATENCY_MODEL_H_
#define LATHE_PROTO_LATENCY_MODEL_H_

#include <optional>
#include <vector>

#include "proto/latency_curve.h"
#include "proto/types.pb.h"

namespace lathe {

// For each layer the one that is taken to feed it: the nearest before it whose
// output channels are among its input channels. Nothing: the model's input.
std::vector<std::optional<int>> SourceLayers(const v1::SearchSpace& space);

// Input channels that `plan` leaves each layer. REQUIRES: the plan is legal.
std::vector<int64_t> KeptInputChannels(const v1::SearchSpace& space,
                                       const v1::CompressionPlan& plan);

// The sum of the layers' latencies at their precisions and channels, of what
// they spend on converting what layers of another precision give them, and of
// the rest. Immutable.
class LatencyModel {
 public:
  LatencyModel(const v1::SearchSpace& space, const v1::LatencyTable& table);

  // Microseconds. REQUIRES: the plan is legal in the space.
  double PredictUs(const v1::CompressionPlan& plan) const;

 private:
  const v1::SearchSpace space_;
  const LatencyCurves curves_;
  const std::vector<std::optional<int>> sources_;
  const double other_us_;
};

}  // namespace lathe

#endif  // LATHE_PROTO_LATENCY_MODEL_H_
