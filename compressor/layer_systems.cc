#include "compressor/layer_systems.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/numeric.h"
#include "base/status.h"
#include "compressor/layer_observations.h"
#include "compressor/layer_problems.h"
#include "compressor/recurrent_rows.h"
#include "compressor/ridge.h"
#include "compressor/weight_matrix.h"

namespace lathe {
namespace {

// Base of the seeds by which output positions are drawn.
constexpr uint64_t kSeed = 0x5e1ec7;

// Rows for each unknown, and in all, at least: as in the rebuild.
constexpr int64_t kRowsPerUnknown = 8;
constexpr int64_t kLeastRows = 2048;

// Most unknowns of a system. A layer with more forgets that the taps of a
// kernel see neighbours: each tap is then a right-hand side of its own over the
// channels, and the Gram matrix is that of single positions.
constexpr int64_t kMostUnknowns = 1024;

int64_t RowsFor(int64_t unknowns) {
  return std::max(kLeastRows, kRowsPerUnknown * unknowns);
}

// The node with its kernel cut down to one tap: what single positions see.
Node PointwiseNode(const Node& node) {
  Node pointwise = node;
  for (const char* key : {"pads", "dilations", "auto_pad"}) {
    pointwise.attributes.erase(key);
  }
  pointwise.attributes["kernel_shape"] = std::vector<int64_t>(
      node.IntsOr("kernel_shape", {1, 1}).size(), int64_t{1});
  return pointwise;
}

// The weights of one problem: [channels * taps, outs], or [channels, taps *
// outs] where they are taken apart.
Eigen::MatrixXd WeightsOf(const LayerProblem& problem, bool is_folded,
                          WeightMatrix* matrix) {
  const int64_t taps = matrix->unknowns() / problem.ins;
  const int64_t unknowns = is_folded ? problem.ins : matrix->unknowns();
  Eigen::MatrixXd weights(unknowns,
                          is_folded ? taps * problem.outs : problem.outs);
  for (int64_t u = 0; u < matrix->unknowns(); ++u) {
    for (int64_t o = 0; o < problem.outs; ++o) {
      const float weight = matrix->at(problem.first_out + o, u);
      if (is_folded) {
        weights(u / taps, u % taps * problem.outs + o) = weight;
      } else {
        weights(u, o) = weight;
      }
    }
  }
  return weights;
}

absl::StatusOr<std::vector<LayerSystem>> WeightedSystems(
    const Node& node, const LayerChannels& layer, const Tensor& weight_tensor,
    const Tensor& input) {
  WeightMatrix matrix(node, weight_tensor);
  const int64_t channels = static_cast<int64_t>(layer.in_symbols.size());
  const std::vector<LayerProblem> problems =
      SplitLayer(node, channels, matrix.outs());
  const int64_t taps = matrix.unknowns() / problems[0].ins;
  const bool is_folded = taps > 1 && matrix.unknowns() > kMostUnknowns;
  Shape shape = weight_tensor.shape();
  if (is_folded) std::fill(shape.begin() + 2, shape.end(), 1);
  LATHE_ASSIGN_OR_RETURN(
      const LayerObservations observations,
      LayerObservations::Create(
          is_folded ? PointwiseNode(node) : node, shape, input.shape(),
          RowsFor(is_folded ? problems[0].ins : matrix.unknowns()),
          MixSeed(kSeed, static_cast<uint64_t>(layer.node))));
  std::vector<LayerSystem> systems;
  for (const LayerProblem& problem : problems) {
    LayerSystem system;
    system.weights = WeightsOf(problem, is_folded, &matrix);
    for (int64_t u = 0; u < system.weights.rows(); ++u) {
      system.symbols.push_back(
          layer.in_symbols[problem.first_in + (is_folded ? u : u / taps)]);
    }
    system.gram =
        CenteredGram(observations.Inputs(input, problem.first_in, problem.ins));
    systems.push_back(std::move(system));
  }
  return systems;
}

// Direction `d` of W or R, [directions, gates, unknowns], turned over.
Eigen::MatrixXd GateWeights(const Tensor& tensor, int64_t d) {
  const int64_t gates = tensor.shape()[1];
  const int64_t unknowns = tensor.shape()[2];
  const float* values = tensor.values<float>().data() + d * gates * unknowns;
  return Eigen::Map<const Observations>(values, gates, unknowns)
      .transpose()
      .cast<double>();
}

std::vector<LayerSystem> RecurrentSystems(const Node& node,
                                          const LayerChannels& layer,
                                          const NodeActivations& at) {
  const RecurrentRows rows(
      node, at.inputs[0].shape(), at.inputs[2].shape(),
      RowsFor(at.inputs[1].shape()[2] + at.inputs[2].shape()[2]));
  std::vector<LayerSystem> systems;
  for (int64_t d = 0; d < rows.directions(); ++d) {
    if (!layer.in_symbols.empty()) {
      systems.push_back({layer.in_symbols,
                         CenteredGram(rows.Inputs(at.inputs[0])),
                         GateWeights(at.inputs[1], d)});
    }
    if (node.outputs[0] == kNoValue) continue;
    systems.push_back({layer.out_symbols,
                       CenteredGram(rows.LastStates(at.outputs[0], d)),
                       GateWeights(at.inputs[2], d)});
  }
  return systems;
}

}  // namespace

absl::StatusOr<std::vector<LayerSystem>> LayerSystems(
    const Graph& graph, const LayerChannels& layer, const NodeActivations& at) {
  const Node& node = graph.nodes()[at.node];
  if (IsRecurrent(layer)) return RecurrentSystems(node, layer, at);
  return WeightedSystems(node, layer, at.inputs[1], at.inputs[0]);
}

}  // namespace lathe
