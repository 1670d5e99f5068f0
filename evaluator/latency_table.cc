#include "evaluator/latency_table.h"

#include <cassert>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/numeric.h"
#include "base/status.h"
#include "compressor/compress.h"
#include "proto/latency_model.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Statistics of a pruned model only set ranges here, which no latency depends
// on: few samples do.
constexpr int64_t kStatsSamples = 4;

double NearestRatio(const v1::Layer& layer, double level) {
  double nearest = layer.keep_ratios(0);
  for (const double ratio : layer.keep_ratios()) {
    if (std::abs(ratio - level) < std::abs(nearest - level)) nearest = ratio;
  }
  return nearest;
}

// What layers take in turn: the even ones the first, the odd ones the second.
struct Turns {
  v1::Precision precisions[2];
  // By group, since its layers take the same.
  double levels[2];
};

// `layer` in `precision` at its widest weights, F32 where that is not offered.
v1::LayerChoice Choose(const v1::Layer& layer, v1::Precision precision,
                       double level) {
  v1::LayerChoice choice;
  choice.set_precision(v1::F32);
  choice.set_weight_bits(DefaultWeightBits(v1::F32));
  choice.set_keep_ratio(NearestRatio(layer, level));
  for (const v1::PrecisionOption& option : layer.precisions()) {
    const bool is_wider = choice.precision() != precision ||
                          option.weight_bits() > choice.weight_bits();
    if (option.precision() != precision || !is_wider) continue;
    choice.set_precision(precision);
    choice.set_weight_bits(option.weight_bits());
  }
  return choice;
}

// Layers of one group offer the same ratios, hence take the same.
v1::CompressionPlan PlanOf(const v1::SearchSpace& space, const Turns& turns) {
  v1::CompressionPlan plan;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    *plan.add_layers() =
        Choose(layer, turns.precisions[i % 2], turns.levels[layer.group() % 2]);
  }
  return plan;
}

std::set<v1::Precision> OfferedPrecisions(const v1::SearchSpace& space) {
  std::set<v1::Precision> offered;
  for (const v1::Layer& layer : space.layers()) {
    for (const v1::PrecisionOption& option : layer.precisions()) {
      offered.insert(option.precision());
    }
  }
  return offered;
}

// All plans that are timed.
std::vector<v1::CompressionPlan> PlansToTime(
    const v1::SearchSpace& space, const LatencyTableOptions& options) {
  std::vector<v1::CompressionPlan> plans;
  const std::set<v1::Precision> offered = OfferedPrecisions(space);
  for (const v1::Precision precision : offered) {
    for (const double level : options.keep_levels) {
      plans.push_back(PlanOf(space, {{precision, precision}, {level, level}}));
    }
    for (const double first : options.mixed_levels) {
      for (const double second : options.mixed_levels) {
        plans.push_back(
            PlanOf(space, {{precision, precision}, {first, second}}));
      }
    }
    for (const v1::Precision other : offered) {
      plans.push_back(PlanOf(space, {{precision, other}, {1, 1}}));
    }
  }
  return plans;
}

// Collects entries so that each stands once, with the medians of its times.
class TableBuilder {
 public:
  explicit TableBuilder(const v1::SearchSpace& space) {
    for (int i = 0; i < space.layers_size(); ++i) {
      layers_[space.layers(i).name()] = i;
    }
    sources_ = SourceLayers(space);
  }

  // Adds the layers of one timed model, which is compressed by `plan`.
  void Add(const Graph& graph, const v1::CompressionPlan& plan,
           const NodeTimes& times) {
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      const Node& node = graph.nodes()[i];
      const auto layer = layers_.find(node.name);
      if (layer == layers_.end() || node.inputs.size() < 2 ||
          !graph.IsConstant(node.inputs[1])) {
        continue;
      }
      const ChannelCounts channels = ChannelsOf(graph, node);
      const v1::Precision source = SourcePrecision(layer->second, plan);
      const auto key = std::make_tuple(layer->second, node.precision, source,
                                       channels.in, channels.out);
      const auto [known, is_new] = places_.try_emplace(key, entries_.size());
      if (is_new) {
        v1::LatencyTable::Entry& entry = entries_.emplace_back().entry;
        entry.set_layer(layer->second);
        entry.set_precision(node.precision);
        entry.set_in_channels(channels.in);
        entry.set_out_channels(channels.out);
        entry.set_source_precision(source);
      }
      TimedEntry& timed = entries_[known->second];
      timed.us.push_back(times.us[i]);
      timed.reorder_us.push_back(times.reorder_us[i]);
    }
  }

  // What the uncompressed model spends outside its layers.
  void AddOther(const Graph& graph, const NodeTimes& times) {
    double other_us = times.other_us;
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      if (layers_.count(graph.nodes()[i].name) == 0) other_us += times.us[i];
    }
    other_us_.push_back(other_us);
  }

  v1::LatencyTable Build() const {
    v1::LatencyTable table;
    table.set_other_us(Median(other_us_));
    for (const TimedEntry& timed : entries_) {
      v1::LatencyTable::Entry* entry = table.add_entries();
      *entry = timed.entry;
      entry->set_latency_us(Median(timed.us));
      entry->set_reorder_us(Median(timed.reorder_us));
    }
    return table;
  }

 private:
  struct TimedEntry {
    v1::LatencyTable::Entry entry;
    std::vector<double> us;
    std::vector<double> reorder_us;
  };

  // The precision of what feeds `layer`, where it is another than its own.
  v1::Precision SourcePrecision(int layer,
                                const v1::CompressionPlan& plan) const {
    const std::optional<int> source = sources_[layer];
    if (!source.has_value()) return v1::PRECISION_UNSPECIFIED;
    const v1::Precision precision = plan.layers(*source).precision();
    return precision == plan.layers(layer).precision()
               ? v1::PRECISION_UNSPECIFIED
               : precision;
  }

  std::map<std::string, int> layers_;
  std::vector<std::optional<int>> sources_;
  std::map<std::tuple<int, v1::Precision, v1::Precision, int64_t, int64_t>,
           size_t>
      places_;
  std::vector<TimedEntry> entries_;
  std::vector<double> other_us_;
};

// A model, ready to be timed.
struct TimedModel {
  Graph graph;
  std::unique_ptr<Executor> executor;
};

absl::StatusOr<TimedModel> MakeTimedModel(Graph graph, int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor,
                         Executor::Compile(graph, {batch}));
  return TimedModel{std::move(graph), std::move(executor)};
}

// About what it holds: its weights, as its kernels want them too, and its
// activations.
int64_t BytesOf(const TimedModel& model) {
  int64_t bytes = model.executor->peak_activation_bytes();
  for (const Value& value : model.graph.values()) {
    if (!value.constant.has_value()) continue;
    bytes += 2 * static_cast<int64_t>(value.constant->bytes().size());
  }
  return bytes;
}

absl::StatusOr<NodeTimes> TimeLayers(const TimedModel& model, int64_t repeats) {
  return TimeNodes(static_cast<int64_t>(model.graph.nodes().size()), repeats,
                   model.executor.get());
}

}  // namespace

ChannelCounts ChannelsOf(const Graph& graph, const Node& node) {
  const Shape& weights = graph.value(node.inputs[1]).constant->shape();
  assert(weights.size() >= 2);
  if (node.op_type == "Conv") {
    return {weights[1] * node.IntOr("group", 1), weights[0]};
  }
  if (node.op_type == "LSTM" || node.op_type == "GRU") {
    return {weights[2], node.IntOr("hidden_size", weights[1])};
  }
  const int64_t rows = weights[weights.size() - 2];
  const int64_t columns = weights.back();
  const bool is_turned = node.op_type == "Gemm" && node.IntOr("transB", 0) != 0;
  if (is_turned) return {columns, rows};
  return {rows, columns};
}

absl::StatusOr<NodeTimes> TimeNodes(int64_t node_count, int64_t repeats,
                                    Executor* executor) {
  const std::vector<StepInfo>& steps = executor->steps();
  constexpr int64_t kWarmUp = 3;
  // By node, the last one for steps without a node.
  std::vector<std::vector<double>> seconds(node_count + 1);
  std::vector<std::vector<double>> reorder_seconds(node_count + 1);
  for (int64_t run = -kWarmUp; run < repeats; ++run) {
    std::vector<double> by_step(steps.size(), 0);
    LATHE_RETURN_IF_ERROR(executor->RunTimed(&by_step));
    std::vector<double> by_node(node_count + 1, 0);
    std::vector<double> reorders(node_count + 1, 0);
    for (size_t i = 0; i < steps.size(); ++i) {
      const bool has_node = steps[i].node >= 0 && steps[i].node < node_count;
      const int64_t node = has_node ? steps[i].node : node_count;
      by_node[node] += by_step[i];
      if (steps[i].is_reorder) reorders[node] += by_step[i];
    }
    if (run < 0) continue;
    for (int64_t i = 0; i <= node_count; ++i) {
      seconds[i].push_back(by_node[i]);
      reorder_seconds[i].push_back(reorders[i]);
    }
  }
  NodeTimes times;
  for (int64_t i = 0; i < node_count; ++i) {
    times.us.push_back(1e6 * Median(seconds[i]));
    times.reorder_us.push_back(1e6 * Median(reorder_seconds[i]));
  }
  times.other_us = 1e6 * Median(seconds[node_count]);
  return times;
}

absl::StatusOr<v1::LatencyTable> BuildLatencyTable(
    const Graph& graph, const v1::SearchSpace& space,
    const ActivationStats& stats, ActivationSource& source,
    const LatencyTableOptions& options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  CompressOptions compress;
  compress.range.method = RangeMethod::kMinMax;
  compress.weights = NearestWeights();
  compress.prune.criterion = PruneCriterion::kL1;
  compress.prune.rebuild = RebuildMethod::kNone;
  compress.prune.samples = std::min(kStatsSamples, source.SampleCount());
  struct PlanToTime {
    v1::CompressionPlan plan;
    std::optional<TimedModel> model;  // Kept from round to round.
  };
  std::vector<PlanToTime> plans;
  const v1::CompressionPlan baseline = BaselinePlan(space);
  std::set<std::string> tried = {PlanDigest(baseline)};
  for (v1::CompressionPlan& plan : PlansToTime(space, options)) {
    if (tried.insert(PlanDigest(plan)).second) {
      plans.push_back({std::move(plan), std::nullopt});
    }
  }
  LATHE_ASSIGN_OR_RETURN(const TimedModel original,
                         MakeTimedModel(graph, options.batch));
  int64_t kept_bytes = 0;
  TableBuilder builder(space);
  for (int64_t round = 0; round < options.rounds; ++round) {
    const std::chrono::duration<double> taken = Clock::now() - start;
    if (round > 0 && taken.count() > options.most_seconds) break;
    LATHE_ASSIGN_OR_RETURN(const NodeTimes times,
                           TimeLayers(original, options.repeats));
    builder.AddOther(graph, times);
    builder.Add(graph, baseline, times);
    for (PlanToTime& timed : plans) {
      const bool was_kept = timed.model.has_value();
      if (!was_kept) {
        auto compressed =
            Compress(graph, space, timed.plan, stats, source, compress);
        if (!compressed.ok()) continue;
        auto model = MakeTimedModel(*std::move(compressed), options.batch);
        if (!model.ok()) continue;
        timed.model = *std::move(model);
      }
      const auto plan_times = TimeLayers(*timed.model, options.repeats);
      if (plan_times.ok()) {
        builder.Add(timed.model->graph, timed.plan, *plan_times);
      }
      if (was_kept) continue;
      const int64_t bytes = BytesOf(*timed.model);
      if (kept_bytes + bytes <= options.most_bytes) {
        kept_bytes += bytes;
      } else {
        timed.model.reset();
      }
    }
  }
  return builder.Build();
}

}  // namespace lathe
