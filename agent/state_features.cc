#include "agent/state_features.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace lathe {
namespace {

constexpr int kLayerFeatures = 12;
constexpr int kCostFeatures = 12;
constexpr int kHistoryFeatures = 8;

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

  const auto damage = [this](int d, int choice) {
    return static_cast<float>(std::log1p(100 * model_.ChoiceDamage(d, choice)) /
                              5);
  };
  double prefix_damage = 0;
  for (int d = 0; d < position; ++d) {
    prefix_damage += model_.ChoiceDamage(d, walker.choices()[d]);
  }
  const int last = decision.count - 1;
  state.push_back(damage(position, (last + 1) / 3));
  state.push_back(
      damage(position, (2 * last + 2) / 3 > last ? last : (2 * last + 2) / 3));
  state.push_back(damage(position, last));
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
