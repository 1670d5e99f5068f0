// What layers make of their inputs as least-squares systems. Private to the
// compressor.
#ifndef LATHE_COMPRESSOR_LAYER_SYSTEMS_H_
#define LATHE_COMPRESSOR_LAYER_SYSTEMS_H_

#include <Eigen/Core>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/calibration_walk.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"

namespace lathe {

// The unknowns that one product of a layer reads, and what it makes of them.
struct LayerSystem {
  // Symbol behind each unknown.
  std::vector<int> symbols;
  // Of the unknowns, about their means.
  Eigen::MatrixXd gram;
  // [unknowns, right-hand sides].
  Eigen::MatrixXd weights;
};

// The systems of a layer whose input symbols are known, in the run `at`: one
// for each group of a convolution; of an LSTM or GRU, for each direction, one
// of its inputs and one of the hidden units that it feeds back (where it has
// the output of all steps). Large layers are simplified so that what they take
// stays bounded: see kMostUnknowns, kPartUnknowns and kMostColumns.
//
// Errors: InvalidArgument - attributes that do not fit the shapes.
absl::StatusOr<std::vector<LayerSystem>> LayerSystems(
    const Graph& graph, const LayerChannels& layer, const NodeActivations& at);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_SYSTEMS_H_
