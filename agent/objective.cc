#include "agent/objective.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace lathe {
namespace {

std::optional<double> Tighter(std::optional<double> a,
                              std::optional<double> b) {
  if (!a.has_value()) return b;
  if (!b.has_value()) return a;
  return std::min(*a, *b);
}

std::optional<double> Share(bool is_set, double value, double whole) {
  if (!is_set || !(whole > 0)) return std::nullopt;
  return value / whole;
}

// Sorted, so that sums do not depend on a hash map's order.
using Components = std::map<std::string, double>;

v1::Reward ToReward(const Components& components, bool is_within_budget) {
  v1::Reward reward;
  double value = 0;
  for (const auto& [name, component] : components) {
    value += component;
    (*reward.mutable_components())[name] = component;
  }
  reward.set_value(value);
  reward.set_is_within_budget(is_within_budget);
  return reward;
}

// Adds the component of an axis: a penalty against its budget, or else a gain
// when it is an objective. Returns whether the budget is met.
bool AddAxis(const char* name, double ratio, std::optional<double> budget,
             bool is_objective, Components* made) {
  Components& components = *made;
  if (!budget.has_value()) {
    if (is_objective) {
      components[std::string(name) + "_gain"] =
          Objective::kGainWeight * (1 - ratio);
    }
    return true;
  }
  // A budget of nothing is exceeded by the whole ratio.
  const double excess =
      *budget > 0 ? std::max(0.0, ratio / *budget - 1) : ratio;
  components[std::string(name) + "_penalty"] =
      -Objective::kPenaltyWeight * excess;
  return ratio <= *budget;
}

}  // namespace

int64_t MeasuredBytes(const v1::Measurement& measurement) {
  return measurement.size_bytes();
}

double LatencyRatio(const v1::Measurement& measurement,
                    const v1::Measurement& baseline) {
  if (measurement.latency_ratio() > 0) return measurement.latency_ratio();
  if (!(baseline.latency_us() > 0)) return 1;
  return measurement.latency_us() / baseline.latency_us();
}

double SizeRatio(const v1::Measurement& measurement,
                 const v1::Measurement& baseline) {
  if (MeasuredBytes(baseline) <= 0) return 1;
  return static_cast<double>(MeasuredBytes(measurement)) /
         static_cast<double>(MeasuredBytes(baseline));
}

RelativeBudget MakeRelativeBudget(const v1::Budget& budget,
                                  const v1::Measurement& baseline) {
  RelativeBudget made;
  made.latency_ratio = Tighter(
      Share(budget.has_max_latency_us(), budget.max_latency_us(),
            baseline.latency_us()),
      Share(budget.has_max_latency_ratio(), budget.max_latency_ratio(), 1));
  made.size_ratio =
      Tighter(Share(budget.has_max_size_bytes(),
                    static_cast<double>(budget.max_size_bytes()),
                    static_cast<double>(MeasuredBytes(baseline))),
              Share(budget.has_max_size_ratio(), budget.max_size_ratio(), 1));
  made.accuracy_drop =
      Share(budget.has_max_accuracy_drop(), budget.max_accuracy_drop(), 1);
  return made;
}

Objective::Objective(v1::Measurement baseline, const v1::Budget& budget,
                     absl::Span<const std::string> objectives)
    : baseline_(std::move(baseline)),
      budget_(MakeRelativeBudget(budget, baseline_)) {
  for (const std::string& objective : objectives) {
    has_latency_ |= objective == "latency";
    has_size_ |= objective == "size";
  }
  if (!has_size_) has_latency_ = true;
}

double Objective::AccuracyTerm(const v1::Measurement& measurement) const {
  if (!(baseline_.accuracy() > 0)) return 0;
  return kAccuracyWeight * (measurement.accuracy() / baseline_.accuracy() - 1);
}

double Objective::DivergenceTerm(const v1::Measurement& measurement) const {
  return kDivergenceWeight *
         std::expm1(-std::max(0.0, measurement.kl_divergence()));
}

double Objective::Quality(const v1::Measurement& measurement) const {
  return AccuracyTerm(measurement) + DivergenceTerm(measurement);
}

v1::Reward Objective::Evaluate(const v1::Trial& trial) const {
  if (trial.state() != v1::TRIAL_MEASURED) {
    return ToReward({{"infeasible", kInfeasibleReward}},
                    /*is_within_budget=*/false);
  }
  const v1::Measurement& measured = trial.measurement();
  Components components;
  components["accuracy"] = AccuracyTerm(measured);
  components["divergence"] = DivergenceTerm(measured);
  bool is_within = AddAxis("latency", LatencyRatio(measured, baseline_),
                           budget_.latency_ratio, has_latency_, &components);
  is_within &= AddAxis("size", SizeRatio(measured, baseline_),
                       budget_.size_ratio, has_size_, &components);
  if (budget_.accuracy_drop.has_value()) {
    const double lost = baseline_.accuracy() - measured.accuracy();
    const double excess = std::max(0.0, lost - *budget_.accuracy_drop);
    components["accuracy_penalty"] = -kPenaltyWeight * excess;
    is_within &= excess <= 0;
  }
  return ToReward(components, is_within);
}

}  // namespace lathe
