#include "agent/plan_outlook.h"

namespace lathe {
namespace {

constexpr double kDivergenceWorth = 0.01;

}  // namespace

double WorthOf(const AccuracyCurve& curve, double divergence) {
  return curve.At(divergence) +
         kDivergenceWorth * QualityOfDivergence(divergence);
}

std::vector<PlanBelief> BeliefsOf(const SearchCore& core,
                                  const DivergenceModel& model,
                                  bool has_surrogate,
                                  absl::Span<const Choices> plans) {
  const auto predictions =
      has_surrogate ? model.Predict(plans) : model.PredictByNearest(plans);
  std::vector<PlanBelief> beliefs;
  for (size_t i = 0; i < plans.size(); ++i) {
    beliefs.push_back({predictions[i], core.PredictedLatencyRatio(plans[i]),
                       core.PredictedSizeRatio(plans[i])});
  }
  return beliefs;
}

PlanOutlook OutlookOf(const PlanBelief& belief, const AccuracyCurve& curve,
                      double optimism) {
  return {WorthOf(curve, belief.divergence.Optimistic(optimism)),
          belief.latency_ratio, belief.size_ratio};
}

std::vector<PlanOutlook> OutlooksOf(const SearchCore& core,
                                    const DivergenceModel& model,
                                    const AccuracyCurve& curve,
                                    bool has_surrogate,
                                    absl::Span<const Choices> plans) {
  std::vector<PlanOutlook> outlooks;
  for (const PlanBelief& belief :
       BeliefsOf(core, model, has_surrogate, plans)) {
    outlooks.push_back(OutlookOf(belief, curve));
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
