#include "agent/plan_outlook.h"

namespace lathe {
namespace {

// How many standard deviations better than believed a plan is hoped to be.
constexpr double kOptimism = 0.5;

constexpr double kDivergenceWorth = 0.01;

}  // namespace

double WorthOf(const AccuracyCurve& curve, double divergence) {
  return curve.At(divergence) +
         kDivergenceWorth * QualityOfDivergence(divergence);
}

std::vector<PlanOutlook> OutlooksOf(const SearchCore& core,
                                    const DivergenceModel& model,
                                    const AccuracyCurve& curve,
                                    bool has_surrogate,
                                    absl::Span<const Choices> plans) {
  const auto predictions =
      has_surrogate ? model.Predict(plans) : model.PredictSums(plans);
  std::vector<PlanOutlook> outlooks;
  for (size_t i = 0; i < plans.size(); ++i) {
    outlooks.push_back({WorthOf(curve, predictions[i].Optimistic(kOptimism)),
                        core.PredictedLatencyRatio(plans[i]),
                        core.PredictedSizeRatio(plans[i])});
  }
  return outlooks;
}

double PromiseOf(const PlanOutlook& outlook, const BudgetGrid& grid) {
  const double gain =
      grid.Gain(outlook.worth, outlook.latency_ratio, outlook.size_ratio);
  return gain > 0 ? gain
                  : outlook.worth - grid.BestWithin(outlook.latency_ratio,
                                                    outlook.size_ratio);
}

}  // namespace lathe
