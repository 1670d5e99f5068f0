#include "compressor/rebuild_pass.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/calibration_walk.h"
#include "compressor/fixed_batch_source.h"
#include "compressor/graph_edit.h"
#include "compressor/histogram.h"
#include "compressor/layer_target.h"
#include "compressor/live_tensors.h"
#include "compressor/prune.h"
#include "compressor/rebuild.h"
#include "compressor/rebuild_recurrent.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Base of the seeds by which output positions are drawn.
constexpr uint64_t kSeed = 0x1a7e;

class RebuildPass {
 public:
  RebuildPass(const Graph& original, const ChannelGroups& groups,
              const std::vector<bool>& is_kept, const Graph& pruned,
              ActivationSource& source, const RebuildPassOptions& options)
      : original_(original),
        is_kept_(is_kept),
        source_(source),
        options_(options),
        layer_of_node_(original.nodes().size()),
        is_changed_(original.values().size()),
        parts_(pruned.parts()),
        original_live_(original),
        pruned_live_(original) {
    for (const LayerChannels& layer : groups.layers) {
      layer_of_node_[layer.node] = &layer;
    }
    is_cut_.resize(original.nodes().size());
    for (const ChannelRewrite& rewrite : groups.rewrites) {
      if (LosesAny(rewrite.symbols)) is_cut_[rewrite.node] = true;
    }
  }

  absl::Status Run(int64_t samples) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                           source_.Inputs(0, samples));
    original_live_.SetInputs(inputs);
    pruned_live_.SetInputs(inputs);
    stats_.samples = samples;
    for (size_t i = 0; i < inputs.size(); ++i) {
      LATHE_RETURN_IF_ERROR(Observe(original_.inputs()[i], inputs[i]));
    }
    const int end = EndOfWork();
    for (int i = 0; i < end; ++i) {
      LATHE_RETURN_IF_ERROR(Step(i));
      original_live_.FreeAfter(i);
      pruned_live_.FreeAfter(i);
    }
    return absl::OkStatus();
  }

  GraphParts TakeParts() { return std::move(parts_); }
  ActivationStats TakeStats() { return std::move(stats_); }

 private:
  bool LosesAny(const std::vector<int>& symbols) const {
    return std::any_of(symbols.begin(), symbols.end(),
                       [this](int symbol) { return !is_kept_[symbol]; });
  }

  // Whether the node may be rebuilt or its outputs are observed.
  bool IsLookedAt(int index) const {
    const Node& node = original_.nodes()[index];
    const LayerChannels* layer = layer_of_node_[index];
    return (layer != nullptr &&
            (IsRecurrent(*layer) || LosesAny(layer->in_symbols))) ||
           std::any_of(
               node.outputs.begin(), node.outputs.end(),
               [this](ValueId id) { return options_.observed.count(id) > 0; });
  }

  // Nodes from this one on are not looked at.
  int EndOfWork() const {
    int end = static_cast<int>(original_.nodes().size());
    while (end > 0 && !IsLookedAt(end - 1)) --end;
    return end;
  }

  absl::Status Step(int index) {
    const Node& node = original_.nodes()[index];
    const std::vector<Tensor> inputs =
        original_live_.InputsOf(original_.parts(), node);
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                           source_.Run(node, inputs));
    std::vector<Tensor> pruned_outputs = outputs;
    const bool is_changed =
        is_cut_[index] ||
        std::any_of(node.inputs.begin(), node.inputs.end(), [this](ValueId id) {
          return id != kNoValue && is_changed_[id];
        });
    if (is_changed) {
      const LayerChannels* layer = layer_of_node_[index];
      if (layer != nullptr && IsRecurrent(*layer)) {
        LATHE_RETURN_IF_ERROR(RebuildUnits(*layer, inputs, outputs));
      } else if (layer != nullptr && LosesAny(layer->in_symbols)) {
        LATHE_RETURN_IF_ERROR(Rebuild(*layer, inputs, outputs[0]));
      }
      const Node& pruned = parts_.nodes[index];
      LATHE_ASSIGN_OR_RETURN(
          pruned_outputs,
          source_.Run(pruned, pruned_live_.InputsOf(parts_, pruned)));
    }
    original_live_.SetOutputs(node, outputs);
    pruned_live_.SetOutputs(node, pruned_outputs);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      if (node.outputs[o] == kNoValue) continue;
      is_changed_[node.outputs[o]] = is_changed;
      LATHE_RETURN_IF_ERROR(Observe(node.outputs[o], pruned_outputs[o]));
    }
    return absl::OkStatus();
  }

  // Gives the layer new weights in parts_. `inputs` and `output` are those of
  // the original node.
  absl::Status Rebuild(const LayerChannels& layer,
                       const std::vector<Tensor>& inputs,
                       const Tensor& output) {
    Node& node = parts_.nodes[layer.node];
    LATHE_ASSIGN_OR_RETURN(
        const Tensor target,
        LayerTarget({original_, layer.node, inputs, output}, layer.output_axis,
                    KeptIndices(layer.out_symbols, is_kept_), pruned_live_,
                    source_));
    LayerWeights kept;
    kept.weights = *parts_.values[node.inputs[1]].constant;
    const bool has_bias = node.op_type != "MatMul" &&
                          node.OperatorInputs() > 2 &&
                          node.inputs[2] != kNoValue;
    if (has_bias && !parts_.values[node.inputs[2]].constant) {
      return absl::OkStatus();  // What is computed cannot be set.
    }
    if (has_bias) kept.bias = *parts_.values[node.inputs[2]].constant;
    RebuildOptions options;
    options.method = options_.method;
    options.ridge = options_.ridge;
    options.seed = MixSeed(kSeed, static_cast<uint64_t>(layer.node));
    LATHE_ASSIGN_OR_RETURN(
        LayerWeights rebuilt,
        RebuildLayer(node, kept, pruned_live_.at(node.inputs[0]), target,
                     options));
    SetConstantInput(&parts_, layer.node, 1, std::move(rebuilt.weights));
    if (rebuilt.bias) {
      SetConstantInput(&parts_, layer.node, 2, *std::move(rebuilt.bias));
    }
    return absl::OkStatus();
  }

  // The same for an LSTM or GRU.
  absl::Status RebuildUnits(const LayerChannels& layer,
                            const std::vector<Tensor>& inputs,
                            const std::vector<Tensor>& outputs) {
    const Node& node = parts_.nodes[layer.node];
    const bool has_lengths = node.inputs.size() > 4 && node.inputs[4] >= 0;
    if (has_lengths || node.outputs[0] == kNoValue) return absl::OkStatus();
    const bool has_bias = node.inputs.size() > 3 && node.inputs[3] >= 0;
    const auto weights_of = [has_bias](const auto& tensor) {
      RecurrentWeights weights{tensor(1), tensor(2), std::nullopt};
      if (has_bias) weights.b = tensor(3);
      return weights;
    };
    const RecurrentWeights original =
        weights_of([&inputs](int i) { return inputs[i]; });
    const RecurrentWeights kept = weights_of(
        [&](int i) { return *parts_.values[node.inputs[i]].constant; });
    const std::vector<int64_t> units = KeptIndices(layer.out_symbols, is_kept_);
    RebuildOptions options;
    options.method = options_.method;
    options.ridge = options_.ridge;
    RecurrentWeights rebuilt =
        RebuildRecurrent(node, kept,
                         {original, inputs[0], outputs[0],
                          pruned_live_.at(node.inputs[0]), units},
                         options);
    SetConstantInput(&parts_, layer.node, 1, std::move(rebuilt.w));
    SetConstantInput(&parts_, layer.node, 2, std::move(rebuilt.r));
    SetConstantInput(&parts_, layer.node, 3, *std::move(rebuilt.b));
    return absl::OkStatus();
  }

  absl::Status Observe(ValueId id, const Tensor& tensor) {
    if (options_.observed.count(id) == 0 ||
        tensor.type() != DataType::kFloat32 || tensor.size() == 0) {
      return absl::OkStatus();
    }
    const std::string& name = original_.value(id).name;
    TensorStats stats = EmptyStats();
    if (!AddToStats(tensor.values<float>(), &stats)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "activation ", name,
          " is not finite (infinite or NaN) in the pruned network"));
    }
    stats_.tensors[name] = std::move(stats);
    return absl::OkStatus();
  }

  const Graph& original_;
  const std::vector<bool>& is_kept_;
  ActivationSource& source_;
  const RebuildPassOptions& options_;
  std::vector<const LayerChannels*> layer_of_node_;  // Null for other nodes.
  std::vector<bool> is_cut_;      // By node: whether pruning edits it.
  std::vector<bool> is_changed_;  // By value: whether the networks differ.
  GraphParts parts_;              // The pruned network in the making.
  LiveTensors original_live_;
  LiveTensors pruned_live_;
  ActivationStats stats_;
};

}  // namespace

absl::StatusOr<RebuiltNetwork> RebuildNetwork(
    const Graph& original, const ChannelGroups& groups,
    const std::vector<bool>& is_kept, const Graph& pruned,
    ActivationSource& source, const RebuildPassOptions& options) {
  const std::optional<int64_t> fixed = FixedBatch(original);
  LATHE_ASSIGN_OR_RETURN(
      const int64_t samples,
      FittingSamples(original, source, options.samples, /*copies=*/2));
  FixedBatchSource batched(original, source, fixed.value_or(1));
  RebuildPass pass(original, groups, is_kept, pruned,
                   fixed ? static_cast<ActivationSource&>(batched) : source,
                   options);
  LATHE_RETURN_IF_ERROR(pass.Run(samples));
  LATHE_ASSIGN_OR_RETURN(Graph graph, Graph::Create(pass.TakeParts()));
  return RebuiltNetwork{std::move(graph), pass.TakeStats()};
}

}  // namespace lathe
