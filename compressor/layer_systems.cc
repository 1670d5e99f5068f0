#include "compressor/layer_systems.h"

#include <algorithm>
#include <cstdint>
#include <map>
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

// Most unknowns of a system that is taken as it is. Of a layer with more,
// symbols that it reads at several places (the taps of a kernel, the positions
// of a map that was flattened) are unknowns just once: each place is then a
// right-hand side of its own, and the Gram matrix is that of single places.
constexpr int64_t kMostUnknowns = 1024;

// Unknowns of a part, where there are more symbols than that. Those of other
// parts explain nothing: solving takes time with the cube of the unknowns.
constexpr int64_t kPartUnknowns = 512;

// Most right-hand sides. Of more, every n-th output stands for all.
constexpr int64_t kMostColumns = 512;

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

// What the rows of a regression read, and what the layer makes of it.
struct Regression {
  std::vector<int> symbols;  // Of the columns of x.
  Observations x;
  Eigen::MatrixXd weights;  // [unknowns, right-hand sides].
};

// The weights of every `step`-th output of one problem: [channels * taps,
// outs], or [channels, taps * outs] where the taps are taken apart.
Eigen::MatrixXd WeightsOf(const LayerProblem& problem, bool is_folded,
                          int64_t step, WeightMatrix* matrix) {
  const int64_t taps = matrix->unknowns() / problem.ins;
  const int64_t unknowns = is_folded ? problem.ins : matrix->unknowns();
  const int64_t outs = (problem.outs + step - 1) / step;
  Eigen::MatrixXd weights(unknowns, is_folded ? taps * outs : outs);
  for (int64_t u = 0; u < matrix->unknowns(); ++u) {
    for (int64_t o = 0; o < outs; ++o) {
      const float weight = matrix->at(problem.first_out + o * step, u);
      if (is_folded) {
        weights(u / taps, u % taps * outs + o) = weight;
      } else {
        weights(u, o) = weight;
      }
    }
  }
  return weights;
}

// How often the most frequent symbol occurs.
int64_t MostRepeats(const std::vector<int>& symbols) {
  std::map<int, int64_t> counts;
  int64_t most = 1;
  for (const int symbol : symbols) most = std::max(most, ++counts[symbol]);
  return most;
}

// The regression with one unknown for each symbol: its occurrences are rows,
// and right-hand sides, of their own.
Regression FoldRepeats(const Regression& whole, int64_t repeats) {
  Regression folded;
  std::map<int, int64_t> unknowns;
  for (const int symbol : whole.symbols) {
    if (unknowns.emplace(symbol, unknowns.size()).second) {
      folded.symbols.push_back(symbol);
    }
  }
  const int64_t rows = whole.x.rows();
  const int64_t outs = whole.weights.cols();
  folded.x = Observations::Zero(rows * repeats, folded.symbols.size());
  folded.weights = Eigen::MatrixXd::Zero(folded.symbols.size(), outs * repeats);
  std::vector<int64_t> seen(folded.symbols.size());
  for (size_t u = 0; u < whole.symbols.size(); ++u) {
    const int64_t unknown = unknowns[whole.symbols[u]];
    const int64_t place = seen[unknown]++;
    folded.x.col(unknown).segment(place * rows, rows) = whole.x.col(u);
    folded.weights.row(unknown).segment(place * outs, outs) =
        whole.weights.row(u);
  }
  return folded;
}

// The systems of the regression's parts.
void AddSystems(const Regression& regression,
                std::vector<LayerSystem>* systems) {
  const int64_t unknowns = regression.x.cols();
  const int64_t size = unknowns > kMostUnknowns ? kPartUnknowns : unknowns;
  for (int64_t first = 0; first < unknowns; first += size) {
    const int64_t count = std::min(size, unknowns - first);
    const auto begin = regression.symbols.begin() + first;
    systems->push_back({{begin, begin + count},
                        CenteredGram(regression.x.middleCols(first, count)),
                        regression.weights.middleRows(first, count)});
  }
}

absl::StatusOr<std::vector<LayerSystem>> WeightedSystems(
    const Node& node, const LayerChannels& layer, const Tensor& weight_tensor,
    const Tensor& input) {
  WeightMatrix matrix(node, weight_tensor);
  const int64_t channels = static_cast<int64_t>(layer.in_symbols.size());
  const std::vector<LayerProblem> problems =
      SplitLayer(node, channels, matrix.outs());
  const int64_t taps = matrix.unknowns() / problems[0].ins;
  const bool is_large = matrix.unknowns() > kMostUnknowns;
  const bool is_folded = taps > 1 && is_large;
  const int64_t unknowns = is_folded ? problems[0].ins : matrix.unknowns();
  Shape shape = weight_tensor.shape();
  if (is_folded) std::fill(shape.begin() + 2, shape.end(), 1);
  LATHE_ASSIGN_OR_RETURN(
      const LayerObservations observations,
      LayerObservations::Create(
          is_folded ? PointwiseNode(node) : node, shape, input.shape(),
          RowsFor(unknowns > kMostUnknowns ? kPartUnknowns : unknowns),
          MixSeed(kSeed, static_cast<uint64_t>(layer.node))));
  std::vector<LayerSystem> systems;
  for (const LayerProblem& problem : problems) {
    Regression regression;
    for (int64_t u = 0; u < unknowns; ++u) {
      regression.symbols.push_back(
          layer.in_symbols[problem.first_in + (is_folded ? u : u / taps)]);
    }
    const int64_t repeats = is_large ? MostRepeats(regression.symbols) : 1;
    const int64_t places = (is_folded ? taps : 1) * repeats;
    regression.weights = WeightsOf(
        problem, is_folded,
        (problem.outs * places + kMostColumns - 1) / kMostColumns, &matrix);
    regression.x = observations.Inputs(input, problem.first_in, problem.ins);
    if (repeats > 1) regression = FoldRepeats(regression, repeats);
    AddSystems(regression, &systems);
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
