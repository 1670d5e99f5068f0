#include "compressor/plan_sketch.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <iterator>
#include <numeric>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/activation_range.h"
#include "compressor/calibration_walk.h"
#include "compressor/graph_edit.h"
#include "compressor/layer_observations.h"
#include "compressor/layer_problems.h"
#include "compressor/prune.h"
#include "compressor/prune_network.h"
#include "compressor/quantize_layer.h"
#include "compressor/rebuild_pass.h"
#include "compressor/regression_rows.h"
#include "compressor/ridge.h"
#include "compressor/shape_inference.h"
#include "compressor/weight_matrix.h"
#include "compressor/weight_quantizer.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Calibration samples that tell the means: as many numbers of input as these,
// and no more samples than the most. Where fewer than the least fit, the means
// stay: on 8 images of SqueezeNet they took as long as half of all else of a
// look, and told nothing (experiments/evaluation/README.md).
constexpr int64_t kRecentreElements = int64_t{1} << 17;
constexpr int64_t kLeastRecentreSamples = 8;
constexpr int64_t kMostRecentreSamples = 32;

// Base of the seeds by which output positions are drawn.
constexpr uint64_t kSketchSeed = 0x5ce7c4;
// Largest Gram matrix of a layer: 42 MB.
constexpr int64_t kMostSketchUnknowns = 2304;
// "Bits" of weights that bfloat16 rounds.
constexpr int kBf16Bits = 16;

absl::Status CheckSketchable(const Graph& graph, const ChannelGroups& groups,
                             const CompressOptions& options) {
  const bool is_plain =
      options.low_rank == 0 && !options.is_equalized && !options.is_smoothed &&
      !options.weights.ChangesFloats() && options.range.bits == 8 &&
      options.weights.scale_scope == ScaleScope::kPerChannel &&
      options.prune.rebuild == RebuildMethod::kRidge;
  if (!is_plain) {
    return absl::UnimplementedError(
        "these compression settings change more than single layers");
  }
  for (const LayerChannels& layer : groups.layers) {
    const Node& node = graph.nodes()[layer.node];
    const bool is_matrix =
        node.op_type == "Conv" ||
        graph.value(node.inputs[1]).constant->shape().size() == 2;
    // Of grouped layers only depthwise ones lose outputs alone.
    const bool is_grouped =
        node.IntOr("group", 1) > 1 &&
        graph.value(node.inputs[1]).constant->shape()[1] != 1;
    if (IsRecurrent(layer) || !is_matrix || is_grouped ||
        node.quantized_weights || FactorsOf(node).weights == 0 ||
        FactorsOf(node).bias == 0) {
      return absl::UnimplementedError(
          absl::StrCat("layer ", node.name, " has no sketch"));
    }
  }
  return absl::OkStatus();
}

// 0: not worth it.
absl::StatusOr<int64_t> RecentreSamples(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const int64_t elements, SampleElements(graph));
  const int64_t affordable = kRecentreElements / elements;
  if (affordable < kLeastRecentreSamples) return 0;
  return std::max(FixedBatch(graph).value_or(1),
                  std::min(affordable, kMostRecentreSamples));
}

// Channels that the layer reads.
int64_t InChannels(const Graph& graph, const Node& node) {
  const Shape& shape = graph.value(node.inputs[1]).constant->shape();
  if (node.op_type == "Conv") return shape[1] * node.IntOr("group", 1);
  return node.IntOr("transB", 0) != 0 ? shape[1] : shape[0];
}

// The dimension of the weights that counts what is read.
int InAxis(const Node& node) {
  return node.op_type == "Conv" || node.IntOr("transB", 0) != 0 ? 1 : 0;
}

// Rows `taken` of `m`.
Eigen::MatrixXd Rows(const Eigen::MatrixXd& m,
                     const std::vector<int64_t>& taken) {
  Eigen::MatrixXd rows(taken.size(), m.cols());
  for (size_t i = 0; i < taken.size(); ++i) rows.row(i) = m.row(taken[i]);
  return rows;
}

Eigen::MatrixXd WeightsOf(const Node& node, const Tensor& tensor) {
  WeightMatrix matrix(node, tensor);
  Eigen::MatrixXd weights(matrix.unknowns(), matrix.outs());
  for (int64_t o = 0; o < matrix.outs(); ++o) {
    for (int64_t u = 0; u < matrix.unknowns(); ++u) {
      weights(u, o) = matrix.at(o, u);
    }
  }
  return weights;
}

// `weights` [unknowns, outputs] in the node's own order.
Tensor TensorOf(const Node& node, const Shape& shape,
                const Eigen::MatrixXd& weights) {
  WeightMatrix matrix(
      node, Tensor::Of<float>(shape, std::vector<float>(weights.size())));
  for (Eigen::Index o = 0; o < weights.cols(); ++o) {
    for (Eigen::Index u = 0; u < weights.rows(); ++u) {
      matrix.at(o, u) = static_cast<float>(weights(u, o));
    }
  }
  return Tensor::Of<float>(shape, matrix.values());
}

// Places of a reading's unknowns among all: every tap of each channel.
std::vector<int64_t> UnknownsOf(const std::vector<int64_t>& channels,
                                int64_t taps) {
  std::vector<int64_t> unknowns;
  for (const int64_t channel : channels) {
    for (int64_t t = 0; t < taps; ++t) unknowns.push_back(channel * taps + t);
  }
  return unknowns;
}

std::vector<int64_t> Without(int64_t count, const std::vector<int64_t>& taken) {
  std::vector<int64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  std::vector<int64_t> left;
  std::set_difference(all.begin(), all.end(), taken.begin(), taken.end(),
                      std::back_inserter(left));
  return left;
}

// Bits of the weights: those of integers, kBf16Bits or kFloatBits.
int BitsOf(const v1::LayerChoice& choice) {
  switch (choice.precision()) {
    case v1::BF16:
      return kBf16Bits;
    case v1::INT8:
    case v1::INT8_DYNAMIC:
      return choice.weight_bits();
    default:
      return choice.weight_bits() <= 8 ? choice.weight_bits() : kFloatBits;
  }
}

int64_t BytesOf(const Eigen::MatrixXd& m) {
  return m.size() * static_cast<int64_t>(sizeof(double));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanSketcher>> PlanSketcher::Create(
    const Graph& graph, const v1::SearchSpace& space,
    const ActivationStats& stats, ActivationSource& source,
    const CompressOptions& options, int64_t most_bytes) {
  auto sketcher =
      absl::WrapUnique(new PlanSketcher(graph, space, stats, source, options));
  sketcher->most_bytes_ = most_bytes;
  LATHE_ASSIGN_OR_RETURN(sketcher->groups_, FindChannelGroups(graph));
  LATHE_RETURN_IF_ERROR(CheckSketchable(graph, sketcher->groups_, options));
  LATHE_ASSIGN_OR_RETURN(sketcher->recentre_samples_, RecentreSamples(graph));
  LATHE_RETURN_IF_ERROR(sketcher->LookAtOriginal());
  return sketcher;
}

absl::Status PlanSketcher::LookAtOriginal() {
  PruneCache own;
  PruneCache* cache =
      options_.prune_cache != nullptr ? options_.prune_cache : &own;
  LATHE_RETURN_IF_ERROR(
      FillCache(graph_, groups_, source_, options_.prune, cache));
  scores_ = *cache->symbol_scores;
  inputs_.resize(groups_.layers.size());
  std::map<int, size_t> layer_of_node;
  for (size_t i = 0; i < groups_.layers.size(); ++i) {
    layer_of_node[groups_.layers[i].node] = i;
  }
  const auto visit = [&](const NodeActivations& at) -> absl::Status {
    const auto layer = layer_of_node.find(at.node);
    if (layer == layer_of_node.end()) return absl::OkStatus();
    const Node& node = graph_.nodes()[at.node];
    const Shape& shape = at.inputs[1].shape();
    const int64_t unknowns =
        at.inputs[1].size() / shape[groups_.layers[layer->second].weight_axis];
    if (node.IntOr("group", 1) > 1 || unknowns > kMostSketchUnknowns ||
        unknowns == 0) {
      return absl::OkStatus();
    }
    LATHE_ASSIGN_OR_RETURN(
        const LayerObservations observations,
        LayerObservations::Create(
            node, shape, at.inputs[0].shape(), RebuildRows(unknowns),
            MixSeed(kSketchSeed, static_cast<uint64_t>(at.node))));
    Observations x =
        observations.Inputs(at.inputs[0], 0, InChannels(graph_, node));
    Observations nothing = Observations::Zero(x.rows(), 1);
    Moments moments = MomentsOf(std::move(x), std::move(nothing),
                                /*takes_means=*/HasSettableBias(node));
    inputs_[layer->second] =
        Inputs{Eigen::MatrixXd(moments.gram.selfadjointView<Eigen::Lower>()),
               std::move(moments.x_means)};
    return absl::OkStatus();
  };
  LATHE_ASSIGN_OR_RETURN(
      const int64_t samples,
      FittingSamples(graph_, source_, options_.weight_samples, /*copies=*/1));
  return WalkNetwork(graph_, source_, samples, visit);
}

bool PlanSketcher::HasSettableBias(const Node& node) const {
  if (node.op_type == "MatMul") return false;
  const bool has_bias = node.OperatorInputs() > 2 && node.inputs[2] != kNoValue;
  if (!has_bias) return true;
  if (!graph_.IsConstant(node.inputs[2])) return false;
  const int64_t outs =
      WeightMatrix(node, *graph_.value(node.inputs[1]).constant).outs();
  return BiasVector(graph_.value(node.inputs[2]).constant, outs).has_value();
}

void PlanSketcher::MakeRoom(int64_t bytes) {
  if (bytes_ + bytes > most_bytes_) {
    readings_.clear();
    variants_.clear();
    bytes_ = 0;
  }
  bytes_ += bytes;
}

PlanSketcher::Reading PlanSketcher::MakeReading(const ReadingKey& key) const {
  const auto& [layer, channels] = key;
  const Node& node = graph_.nodes()[groups_.layers[layer].node];
  const Eigen::MatrixXd whole =
      WeightsOf(node, *graph_.value(node.inputs[1]).constant);
  const int64_t groups = node.IntOr("group", 1);
  const int64_t taps =
      whole.rows() * groups / std::max<int64_t>(1, InChannels(graph_, node));
  Reading reading;
  reading.shift = Eigen::VectorXd::Zero(whole.cols());
  if (groups > 1) {
    reading.weights = whole;
    return reading;
  }
  const std::vector<int64_t> left = UnknownsOf(channels, taps);
  reading.weights = Rows(whole, left);
  const std::optional<Inputs>& inputs = inputs_[layer];
  if (!inputs || left.empty()) return reading;
  const std::vector<int64_t> gone = Without(whole.rows(), left);
  const Eigen::MatrixXd columns = Rows(inputs->gram, left).transpose();
  const Eigen::MatrixXd gram = Rows(columns, left);
  reading.means = Rows(inputs->means, left);
  if (!gone.empty()) {
    const double ridge =
        options_.prune.ridge * gram.trace() / static_cast<double>(gram.rows());
    Eigen::MatrixXd shifted = gram;
    shifted.diagonal().array() += ridge;
    const Eigen::LLT<Eigen::MatrixXd> llt(shifted);
    if (ridge > 0 && llt.info() == Eigen::Success) {
      reading.weights +=
          llt.solve(Rows(columns, gone).transpose() * Rows(whole, gone));
    }
    reading.shift = whole.transpose() * inputs->means -
                    reading.weights.transpose() * reading.means;
  }
  reading.rounding =
      std::make_unique<GramRounding>(gram, options_.weights.ridge);
  return reading;
}

const PlanSketcher::Reading& PlanSketcher::ReadingOf(const ReadingKey& key) {
  const auto found = readings_.find(key);
  if (found != readings_.end()) return found->second;
  Reading reading = MakeReading(key);
  const int64_t unknowns = reading.weights.rows();
  // The rounding holds two matrices of float32.
  MakeRoom(BytesOf(reading.weights) +
           (reading.rounding ? 8 * unknowns * unknowns : 0));
  return readings_.emplace(key, std::move(reading)).first->second;
}

absl::StatusOr<PlanSketcher::Variant> PlanSketcher::MakeVariant(
    const ReadingKey& key, int bits) {
  const Node& node = graph_.nodes()[groups_.layers[key.first].node];
  const Reading& reading = ReadingOf(key);
  Shape shape = graph_.value(node.inputs[1]).constant->shape();
  if (node.IntOr("group", 1) == 1) {
    shape[InAxis(node)] = static_cast<int64_t>(key.second.size());
  }
  Variant variant;
  Eigen::MatrixXd rounded = reading.weights;
  if (bits <= 8) {
    Eigen::MatrixXd levels(rounded.rows(), rounded.cols());
    const bool is_asymmetric = IsAsymmetric(options_.weights.grids, bits);
    for (Eigen::Index o = 0; o < rounded.cols(); ++o) {
      const Eigen::VectorXf wanted = reading.weights.col(o).cast<float>();
      LATHE_ASSIGN_OR_RETURN(
          WeightGrid grid,
          ChooseWeightGrid({wanted.data(), static_cast<size_t>(wanted.size())},
                           bits, options_.weights.scale_method,
                           options_.weights.grids));
      if (reading.rounding != nullptr) {
        const RoundedChannel channel =
            reading.rounding->Round(wanted, grid, /*fits_scale=*/true);
        grid.scale = channel.scale;
        for (Eigen::Index u = 0; u < rounded.rows(); ++u) {
          levels(u, o) = channel.levels[u];
        }
      } else {
        for (Eigen::Index u = 0; u < rounded.rows(); ++u) {
          levels(u, o) = NearestLevel(wanted(u), grid);
        }
      }
      rounded.col(o) = static_cast<double>(grid.scale) * levels.col(o);
      variant.scales.push_back(grid.scale);
      if (is_asymmetric) variant.zero_points.push_back(ZeroPointOf(grid, bits));
    }
    variant.levels = TensorOf(node, shape, levels);
  }
  variant.weights = TensorOf(node, shape, rounded);
  if (bits == kBf16Bits) variant.weights = RoundedToBfloat16(variant.weights);
  if (!HasSettableBias(node)) return variant;
  Eigen::VectorXd shift = reading.shift;
  if (reading.means.size() > 0) {
    shift += (reading.weights - rounded).transpose() * reading.means;
  }
  const std::optional<Tensor> own =
      node.OperatorInputs() > 2 && node.inputs[2] != kNoValue
          ? graph_.value(node.inputs[2]).constant
          : std::nullopt;
  variant.bias = *BiasVector(own, rounded.cols());
  const LayerFactors factors = FactorsOf(node);
  for (Eigen::Index o = 0; o < rounded.cols(); ++o) {
    variant.bias[o] +=
        static_cast<float>(shift(o) * factors.weights / factors.bias);
  }
  return variant;
}

absl::StatusOr<const PlanSketcher::Variant*> PlanSketcher::VariantOf(
    const ReadingKey& key, int bits) {
  const std::pair<ReadingKey, int> own(key, bits);
  const auto found = variants_.find(own);
  if (found != variants_.end()) {
    ++found_layers_;
    return &found->second;
  }
  ++made_layers_;
  LATHE_ASSIGN_OR_RETURN(Variant variant, MakeVariant(key, bits));
  MakeRoom(2 * static_cast<int64_t>(variant.weights.bytes().size()));
  return &variants_.emplace(own, std::move(variant)).first->second;
}

void PlanSketcher::SetVariant(const LayerChannels& layer,
                              const Variant& variant, int bits,
                              const std::vector<int64_t>& kept,
                              GraphParts* parts) const {
  SetConstantInput(parts, layer.node, 1,
                   TakeAlongAxis(variant.weights, layer.weight_axis, kept));
  if (!variant.bias.empty()) {
    std::vector<float> bias;
    for (const int64_t o : kept) bias.push_back(variant.bias[o]);
    SetConstantInput(
        parts, layer.node, 2,
        Tensor::Of<float>({static_cast<int64_t>(bias.size())}, bias));
  }
  if (!variant.levels) return;
  QuantizedWeights quantized;
  quantized.bits = bits;
  for (const int64_t o : kept) {
    quantized.scales.push_back(variant.scales[o]);
    if (variant.zero_points.empty()) continue;
    quantized.zero_points.push_back(variant.zero_points[o]);
  }
  DropZeroPoints(&quantized);
  const Tensor levels = TakeAlongAxis(*variant.levels, layer.weight_axis, kept);
  for (const float level : levels.values<float>()) {
    quantized.levels.push_back(static_cast<int8_t>(level));
  }
  // The very floats that the levels stand for.
  SetConstantInput(
      parts, layer.node, 1,
      DequantizeWeights(quantized, levels.shape(), layer.weight_axis));
  parts->nodes[layer.node].quantized_weights = std::move(quantized);
}

absl::Status PlanSketcher::SetLayers(const v1::CompressionPlan& plan,
                                     const std::vector<bool>& is_kept,
                                     GraphParts* parts) {
  for (size_t i = 0; i < groups_.layers.size(); ++i) {
    const LayerChannels& layer = groups_.layers[i];
    const v1::LayerChoice& choice = plan.layers(static_cast<int>(i));
    const Node& node = graph_.nodes()[layer.node];
    ReadingKey key(static_cast<int>(i), {});
    if (layer.in_symbols.empty()) {
      key.second = Without(InChannels(graph_, node), {});
    } else {
      key.second = KeptIndices(layer.in_symbols, is_kept);
    }
    // What a grouped layer reads goes with what it makes.
    if (node.IntOr("group", 1) > 1) {
      key.second = Without(InChannels(graph_, node), {});
    }
    const int bits = BitsOf(choice);
    parts->nodes[layer.node].precision = choice.precision();
    const std::vector<int64_t> kept = KeptIndices(layer.out_symbols, is_kept);
    const bool is_whole =
        kept.size() == layer.out_symbols.size() &&
        static_cast<int64_t>(key.second.size()) == InChannels(graph_, node);
    // It stays as it is, memory and all.
    if (is_whole && bits == kFloatBits) continue;
    LATHE_ASSIGN_OR_RETURN(const Variant* variant, VariantOf(key, bits));
    SetVariant(layer, *variant, bits, kept, parts);
  }
  return absl::OkStatus();
}

void PlanSketcher::SetGrids(const v1::CompressionPlan& plan,
                            GraphParts* parts) {
  for (size_t i = 0; i < groups_.layers.size(); ++i) {
    if (plan.layers(static_cast<int>(i)).precision() != v1::INT8) continue;
    const ValueId id = graph_.nodes()[groups_.layers[i].node].inputs[0];
    Value& value = parts->values[id];
    if (value.grid.has_value()) continue;
    auto grid = grids_.find(id);
    if (grid == grids_.end()) {
      const auto stats = stats_.tensors.find(value.name);
      // Compress refuses such a plan.
      if (stats == stats_.tensors.end()) continue;
      grid =
          grids_.emplace(id, ChooseGrid(stats->second, options_.range)).first;
    }
    value.grid = grid->second;
  }
}

absl::StatusOr<Graph> PlanSketcher::Sketch(const v1::CompressionPlan& plan) {
  LATHE_RETURN_IF_ERROR(ValidatePlan(space_, plan));
  std::vector<double> ratios(groups_.groups.size(), 1);
  for (size_t i = 0; i < groups_.layers.size(); ++i) {
    ratios[groups_.layers[i].group] =
        plan.layers(static_cast<int>(i)).keep_ratio();
  }
  const std::vector<bool> is_kept = ChooseKeptSymbols(groups_, scores_, ratios);
  LATHE_ASSIGN_OR_RETURN(const Graph pruned,
                         RemoveChannels(graph_, groups_, is_kept));
  GraphParts parts = pruned.parts();
  LATHE_RETURN_IF_ERROR(SetLayers(plan, is_kept, &parts));
  SetGrids(plan, &parts);
  LATHE_ASSIGN_OR_RETURN(Graph sketch, Graph::Create(std::move(parts)));
  const bool is_pruned = std::any_of(ratios.begin(), ratios.end(),
                                     [](double ratio) { return ratio != 1; });
  if (!is_pruned || recentre_samples_ == 0) return sketch;
  RebuildPassOptions recentre;
  recentre.method = RebuildMethod::kRecentre;
  recentre.samples = recentre_samples_;
  LATHE_ASSIGN_OR_RETURN(
      RebuiltNetwork recentred,
      RebuildNetwork(graph_, groups_, is_kept, sketch, source_, recentre));
  return std::move(recentred.graph);
}

}  // namespace lathe
