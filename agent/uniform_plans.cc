#include "agent/uniform_plans.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace lathe {
namespace {

bool Offers(const v1::Layer& layer, v1::Precision precision) {
  return std::any_of(layer.precisions().begin(), layer.precisions().end(),
                     [precision](const v1::PrecisionOption& option) {
                       return option.precision() == precision;
                     });
}

// Layers without INT8 take INT8_DYNAMIC for it.
int NearestOption(const v1::Layer& layer, v1::Precision precision,
                  int weight_bits) {
  if (precision == v1::INT8 && !Offers(layer, precision)) {
    precision = v1::INT8_DYNAMIC;
  }
  int best = 0;
  int best_bits = 0;
  for (int c = 0; c < layer.precisions_size(); ++c) {
    const v1::PrecisionOption& option = layer.precisions(c);
    if (option.precision() != precision) continue;
    const int bits = option.weight_bits();
    if (bits < weight_bits) continue;
    if (best_bits == 0 || bits < best_bits) {
      best = c;
      best_bits = bits;
    }
  }
  return best;
}

int NearestRatio(const std::vector<double>& ratios, double keep_ratio) {
  const auto nearest = std::min_element(
      ratios.begin(), ratios.end(), [keep_ratio](double a, double b) {
        return std::abs(a - keep_ratio) < std::abs(b - keep_ratio);
      });
  return static_cast<int>(nearest - ratios.begin());
}

}  // namespace

Choices UniformPlan(const DecisionSpace& space, v1::Precision precision,
                    int weight_bits, double keep_ratio) {
  Choices choices;
  for (const Decision& decision : space.decisions()) {
    choices.push_back(
        decision.is_keep
            ? NearestRatio(space.groups()[decision.group].keep_ratios,
                           keep_ratio)
            : NearestOption(space.space().layers(decision.layer), precision,
                            weight_bits));
  }
  return choices;
}

std::vector<v1::PrecisionOption> AllOptions(const DecisionSpace& space) {
  std::map<std::pair<int, int>, v1::PrecisionOption> sorted;
  for (const v1::Layer& layer : space.space().layers()) {
    for (const v1::PrecisionOption& option : layer.precisions()) {
      sorted[{option.precision(), -option.weight_bits()}] = option;
    }
  }
  std::vector<v1::PrecisionOption> all;
  for (const auto& [key, option] : sorted) all.push_back(option);
  return all;
}

std::vector<double> AllKeepRatios(const DecisionSpace& space) {
  std::set<double, std::greater<double>> all;
  for (const KeepGroup& group : space.groups()) {
    all.insert(group.keep_ratios.begin(), group.keep_ratios.end());
  }
  return std::vector<double>(all.begin(), all.end());
}

}  // namespace lathe
