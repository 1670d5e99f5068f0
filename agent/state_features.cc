#include "agent/state_features.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace lathe {
namespace {

constexpr int kLayerFeatures = 12;
constexpr int kCostFeatures = 12;
constexpr int kHistoryFeatures = 11;

float Log(double value) {
  return static_cast<float>(std::log2(1 + std::max(0.0, value)) / 10);
}

// Shares of a budget: unbounded counts as twice the baseline.
double Finite(double ratio) { return std::min(ratio, 2.0); }

}  // namespace

double ToAction(int choice, int count) { return (choice + 0.5) / count; }

int ToChoice(double action, int count) {
  return std::clamp(static_cast<int>(action * count), 0, count - 1);
}

StateFeatures::StateFeatures(const SearchCore* core,
                             const DivergenceModel* model)
    : core_(*core), model_(*model) {
  for (const v1::Layer& layer : core_.space().space().layers()) {
    most_macs_ = std::max(most_macs_, static_cast<double>(layer.macs()));
    most_parameters_ =
        std::max(most_parameters_, static_cast<double>(layer.parameters()));
  }
  FindFeeders();
  FindReorders();
}

void StateFeatures::FindFeeders() {
  const v1::SearchSpace& space = core_.space().space();
  for (int i = 0; i < space.layers_size(); ++i) {
    const auto& inputs = space.layers(i).input_groups();
    feeder_.push_back(kNoLayer);
    for (int j = 0; j < i; ++j) {
      const int group = space.layers(j).group();
      if (std::find(inputs.begin(), inputs.end(), group) != inputs.end()) {
        feeder_.back() = j;
      }
    }
  }
}

void StateFeatures::FindReorders() {
  const size_t layers = core_.space().space().layers_size();
  std::vector<std::array<int, kPrecisionCount>> counts(layers);
  reorder_us_.resize(layers);
  for (const v1::LatencyTable::Entry& entry :
       core_.context().latency_table.entries()) {
    if (entry.source_precision() == v1::PRECISION_UNSPECIFIED) continue;
    const int precision = PrecisionIndex(entry.precision());
    double& mean = reorder_us_[entry.layer()][precision];
    const int count = ++counts[entry.layer()][precision];
    mean += (entry.reorder_us() - mean) / count;
  }
}

float StateFeatures::ReorderUs(const PrefixWalker& walker, int choice) const {
  const DecisionSpace& space = core_.space();
  const Decision& decision = walker.next();
  if (decision.is_keep || feeder_[decision.layer] == kNoLayer) return 0;
  const int feeder = feeder_[decision.layer];
  const auto at = static_cast<size_t>(space.option_decision(feeder));
  if (at >= walker.choices().size()) return 0;
  const v1::Precision own = space.option(decision.layer, choice).precision();
  if (own == space.option(feeder, walker.choices()[at]).precision()) return 0;
  return static_cast<float>(reorder_us_[decision.layer][PrecisionIndex(own)]);
}

StateFeatures::ChoiceCosts StateFeatures::CostsOf(const PrefixWalker& walker,
                                                  int choice) const {
  const CostModel& costs = core_.costs();
  const PrefixWalker::Bound after = walker.BoundIf(choice);
  const double layers = core_.space().space().layers_size();
  const double per_us = layers / costs.baseline_us();
  const double per_byte = layers / costs.baseline_bytes();
  ChoiceCosts of;
  of.us = static_cast<float>((after.us - walker.bound().us) * per_us);
  of.bytes =
      static_cast<float>((after.bytes - walker.bound().bytes) * per_byte);
  of.reorder_us = static_cast<float>(ReorderUs(walker, choice) * per_us);
  return of;
}

void StateFeatures::AppendDamages(int decision,
                                  std::vector<float>* state) const {
  const int last = core_.space().decisions()[decision].count - 1;
  for (const int choice :
       {(last + 1) / 3, std::min(last, (2 * last + 2) / 3), last}) {
    state->push_back(static_cast<float>(
        std::log1p(100 * model_.ChoiceDamage(decision, choice)) / 5));
  }
}

int StateFeatures::Size() {
  return kLayerFeatures + kCostFeatures + kHistoryFeatures;
}

std::vector<float> StateFeatures::At(const PrefixWalker& walker,
                                     const EpisodeBudget& budget) const {
  const DecisionSpace& space = core_.space();
  const CostModel& costs = core_.costs();
  const Decision& decision = walker.next();
  const v1::Layer& layer = space.space().layers(decision.layer);
  const int position = static_cast<int>(walker.choices().size());
  const std::vector<int>& keeps = walker.keeps();
  std::vector<float> state;
  state.reserve(Size());

  state.push_back(decision.is_keep ? 1 : 0);
  state.push_back(static_cast<float>(position) / space.size());
  state.push_back(Log(layer.in_channels()));
  state.push_back(Log(layer.out_channels()));
  state.push_back(Log(layer.kernel_height() * layer.kernel_width()));
  state.push_back(Log(layer.stride()));
  state.push_back(Log(layer.out_pixels()));
  state.push_back(static_cast<float>(layer.macs() / most_macs_));
  state.push_back(static_cast<float>(layer.parameters() / most_parameters_));
  state.push_back(layer.kind() == "depthwise_conv" ? 1 : 0);
  state.push_back(layer.out_pixels() <= 1 ? 1 : 0);
  state.push_back(
      static_cast<float>(space.groups()[decision.group].layers.size() /
                         static_cast<double>(space.space().layers_size())));

  // Latency of the layer in each precision, as multiples of an average
  // layer's share; 0 where a precision is not legal.
  // Both kinds of int8 share one.
  constexpr int kInt8 = 2;
  float us[kInt8 + 1] = {};
  for (int option = layer.precisions_size() - 1; option >= 0; --option) {
    const CostModel::LayerCost cost =
        costs.CostOf(decision.layer, option, keeps);
    us[std::min(PrecisionIndex(layer.precisions(option).precision()), kInt8)] =
        static_cast<float>(cost.us / costs.baseline_us() *
                           space.space().layers_size() / 4);
  }
  state.insert(state.end(), std::begin(us), std::end(us));
  const double spent_us = walker.spent().us / costs.baseline_us();
  const double bound_us = walker.bound().us / costs.baseline_us();
  const double spent_bytes = walker.spent().bytes / costs.baseline_bytes();
  const double bound_bytes = walker.bound().bytes / costs.baseline_bytes();
  state.push_back(static_cast<float>(spent_us));
  state.push_back(static_cast<float>(bound_us - spent_us));
  state.push_back(static_cast<float>(Finite(budget.latency_ratio)));
  state.push_back(static_cast<float>(Finite(budget.latency_ratio) - bound_us));
  state.push_back(static_cast<float>(spent_bytes));
  state.push_back(static_cast<float>(bound_bytes - spent_bytes));
  state.push_back(static_cast<float>(Finite(budget.size_ratio)));
  state.push_back(static_cast<float>(Finite(budget.size_ratio) - bound_bytes));
  state.push_back(static_cast<float>(
      space.InChannels(decision.layer, keeps) /
      std::max(1.0, static_cast<double>(layer.in_channels()))));

  double prefix_damage = 0;
  for (int d = 0; d < position; ++d) {
    prefix_damage += model_.ChoiceDamage(d, walker.choices()[d]);
  }
  AppendDamages(position, &state);
  AppendDamages(decision.is_keep ? space.option_decision(decision.layer)
                                 : space.keep_decision(decision.group),
                &state);
  state.push_back(static_cast<float>(std::log1p(100 * prefix_damage) / 5));
  const int keep_at = space.keep_decision(decision.group);
  state.push_back(
      decision.is_keep
          ? 0
          : static_cast<float>(space.groups()[decision.group]
                                   .keep_ratios[keeps[decision.group]]));
  state.push_back(position > 0 ? static_cast<float>(ToAction(
                                     walker.choices()[position - 1],
                                     space.decisions()[position - 1].count))
                               : 0);
  state.push_back(keep_at < position ? static_cast<float>(ToAction(
                                           walker.choices()[keep_at],
                                           space.decisions()[keep_at].count))
                                     : 0);
  state.push_back(1);
  return state;
}

}  // namespace lathe
