#include "compressor/activation_scores.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/calibration_walk.h"
#include "compressor/fixed_batch_source.h"

namespace lathe {
namespace {

// Step of the difference quotient: float32 sums leave errors of about 1e-6 in
// the loss, and gates within 1 % seldom turn a rectifier over.
constexpr float kGateStep = 1e-2f;

// Layers by node; null for other nodes.
std::vector<const LayerChannels*> LayersByNode(const Graph& graph,
                                               const ChannelGroups& groups) {
  std::vector<const LayerChannels*> layers(graph.nodes().size());
  for (const LayerChannels& layer : groups.layers) layers[layer.node] = &layer;
  return layers;
}

// The first output that is there.
size_t ShownOutput(const Node& node) {
  size_t shown = 0;
  while (node.outputs[shown] == kNoValue) ++shown;
  return shown;
}

// Mean magnitude of each slice along `axis`.
std::vector<double> MeanMagnitudes(const Tensor& tensor, int axis) {
  const absl::Span<const int64_t> dims(tensor.shape());
  const int64_t inner = ElementCount(dims.subspan(axis + 1));
  const int64_t outer = ElementCount(dims.subspan(0, axis));
  const absl::Span<const float> values = tensor.values<float>();
  std::vector<double> means(dims[axis]);
  size_t at = 0;
  for (int64_t o = 0; o < outer; ++o) {
    for (double& mean : means) {
      for (int64_t i = 0; i < inner; ++i) mean += std::abs(values[at++]);
    }
  }
  for (double& mean : means) mean /= static_cast<double>(outer * inner);
  return means;
}

// `tensor` with the slices of `symbol` along `axis` scaled by `gate`.
Tensor Gated(const Tensor& tensor, int axis, const std::vector<int>& symbols,
             int symbol, float gate) {
  const absl::Span<const int64_t> dims(tensor.shape());
  const int64_t inner = ElementCount(dims.subspan(axis + 1));
  const absl::Span<const float> values = tensor.values<float>();
  std::vector<float> gated(values.begin(), values.end());
  for (size_t i = 0; i < gated.size(); ++i) {
    if (symbols[i / inner % dims[axis]] == symbol) gated[i] *= gate;
  }
  return Tensor::Of<float>(tensor.shape(), gated);
}

// What the network keeps between runs of its end.
class Differences {
 public:
  Differences(const Graph& graph, ActivationSource& source)
      : graph_(graph), source_(source), tensors_(graph.values().size()) {}

  absl::Status RunAll(int64_t samples) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                           source_.Inputs(0, samples));
    for (size_t i = 0; i < inputs.size(); ++i) {
      tensors_[graph_.inputs()[i]] = inputs[i];
    }
    const int nodes = static_cast<int>(graph_.nodes().size());
    for (int i = 0; i < nodes; ++i) {
      LATHE_RETURN_IF_ERROR(RunNode(i, tensors_, &tensors_));
    }
    return FindBestClasses(samples);
  }

  // Mean over samples of |dL/dg|; see ScoreByTaylor.
  absl::StatusOr<double> Effect(const LayerChannels& layer, int symbol) {
    std::vector<std::optional<Tensor>> changed(tensors_.size());
    const std::vector<ValueId>& outputs = graph_.nodes()[layer.node].outputs;
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o] == kNoValue) continue;
      changed[outputs[o]] =
          Gated(*tensors_[outputs[o]],
                o == 0 ? layer.output_axis : layer.output_axis - 1,
                layer.out_symbols, symbol, 1 - kGateStep);
    }
    const int nodes = static_cast<int>(graph_.nodes().size());
    for (int i = layer.node + 1; i < nodes; ++i) {
      const std::vector<ValueId>& inputs = graph_.nodes()[i].inputs;
      if (std::any_of(inputs.begin(), inputs.end(), [&](ValueId id) {
            return id != kNoValue && changed[id].has_value();
          })) {
        LATHE_RETURN_IF_ERROR(RunNode(i, changed, &changed));
      }
    }
    const std::optional<Tensor>& answer = changed[graph_.outputs()[0]];
    if (!answer) return 0.0;
    double sum = 0;
    for (size_t n = 0; n < best_.size(); ++n) {
      sum += std::abs(Loss(*answer, n) - losses_[n]) / kGateStep;
    }
    return sum / static_cast<double>(best_.size());
  }

 private:
  // Runs a node on what `first` holds, else on the unchanged network's values.
  absl::Status RunNode(int index,
                       const std::vector<std::optional<Tensor>>& first,
                       std::vector<std::optional<Tensor>>* outputs) {
    const Node& node = graph_.nodes()[index];
    std::vector<Tensor> inputs;
    for (const ValueId id : node.inputs) {
      if (id == kNoValue) {
        inputs.emplace_back(DataType::kFloat32, Shape{0}, std::string());
      } else if (graph_.IsConstant(id)) {
        inputs.push_back(*graph_.value(id).constant);
      } else {
        inputs.push_back(first[id] ? *first[id] : *tensors_[id]);
      }
    }
    LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> made, source_.Run(node, inputs));
    for (size_t o = 0; o < made.size(); ++o) {
      if (node.outputs[o] == kNoValue) continue;
      (*outputs)[node.outputs[o]] = std::move(made[o]);
    }
    return absl::OkStatus();
  }

  absl::Status FindBestClasses(int64_t samples) {
    const std::optional<Tensor>& answer = tensors_[graph_.outputs()[0]];
    const bool has_classes = answer && answer->type() == DataType::kFloat32 &&
                             answer->size() % samples == 0 &&
                             answer->size() / samples >= 2;
    if (!has_classes) {
      return absl::FailedPreconditionError(
          "the Taylor criterion needs a model whose first output has a number "
          "for each class; choose another criterion");
    }
    classes_ = answer->size() / samples;
    const absl::Span<const float> values = answer->values<float>();
    is_probability_ = true;
    for (int64_t n = 0; n < samples; ++n) {
      const absl::Span<const float> row =
          values.subspan(n * classes_, classes_);
      double sum = 0;
      for (const float x : row) {
        sum += x;
        is_probability_ = is_probability_ && x >= 0;
      }
      is_probability_ = is_probability_ && std::abs(sum - 1) < 1e-3;
      best_.push_back(std::max_element(row.begin(), row.end()) - row.begin());
    }
    for (size_t n = 0; n < best_.size(); ++n) {
      losses_.push_back(Loss(*answer, n));
    }
    return absl::OkStatus();
  }

  // Cross entropy of sample `n` with its best class.
  double Loss(const Tensor& answer, size_t n) const {
    const absl::Span<const float> row =
        answer.values<float>().subspan(n * classes_, classes_);
    const double best = row[best_[n]];
    if (is_probability_) return -std::log(std::max(best, 1e-12));
    double sum = 0;
    for (const float x : row) sum += std::exp(x - best);
    return std::log(sum);
  }

  const Graph& graph_;
  ActivationSource& source_;
  std::vector<std::optional<Tensor>> tensors_;  // By value, unchanged.
  int64_t classes_ = 0;
  bool is_probability_ = false;
  std::vector<int64_t> best_;   // By sample.
  std::vector<double> losses_;  // By sample.
};

}  // namespace

absl::StatusOr<std::vector<double>> ScoreByActivations(
    const Graph& graph, const ChannelGroups& groups, ActivationSource& source,
    int64_t samples) {
  LATHE_ASSIGN_OR_RETURN(const int64_t fitting,
                         FittingSamples(graph, source, samples, /*copies=*/1));
  const std::vector<const LayerChannels*> layers = LayersByNode(graph, groups);
  std::vector<double> scores(groups.symbol_count);
  const auto visit = [&](const NodeActivations& at) {
    const LayerChannels* layer = layers[at.node];
    if (layer == nullptr) return absl::OkStatus();
    const size_t shown = ShownOutput(graph.nodes()[at.node]);
    // Y_h of a recurrent layer lacks the axis of the steps.
    const std::vector<double> means =
        MeanMagnitudes(at.outputs[shown], shown == 0 ? layer->output_axis
                                                     : layer->output_axis - 1);
    for (size_t i = 0; i < means.size(); ++i) {
      scores[layer->out_symbols[i]] += means[i];
    }
    return absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(WalkNetwork(graph, source, fitting, visit));
  return scores;
}

absl::StatusOr<std::vector<double>> ScoreByTaylor(const Graph& graph,
                                                  const ChannelGroups& groups,
                                                  ActivationSource& source,
                                                  int64_t samples) {
  // All activations are kept, not only those alive at once.
  LATHE_ASSIGN_OR_RETURN(const int64_t fitting,
                         FittingSamples(graph, source, samples, /*copies=*/8));
  const std::optional<int64_t> fixed = FixedBatch(graph);
  FixedBatchSource batched(graph, source, fixed.value_or(1));
  Differences differences(
      graph, fixed ? static_cast<ActivationSource&>(batched) : source);
  LATHE_RETURN_IF_ERROR(differences.RunAll(fitting));
  std::vector<double> scores(groups.symbol_count);
  for (const LayerChannels& layer : groups.layers) {
    if (groups.groups[layer.group].is_pinned) continue;
    std::vector<int> symbols = layer.out_symbols;
    std::sort(symbols.begin(), symbols.end());
    symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
    for (const int symbol : symbols) {
      LATHE_ASSIGN_OR_RETURN(const double effect,
                             differences.Effect(layer, symbol));
      scores[symbol] += effect;
    }
  }
  return scores;
}

}  // namespace lathe
