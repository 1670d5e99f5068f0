// What plans promise, by what is believed of them.
#ifndef LATHE_AGENT_PLAN_OUTLOOK_H_
#define LATHE_AGENT_PLAN_OUTLOOK_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/accuracy_curve.h"
#include "agent/budget_grid.h"
#include "agent/divergence_model.h"
#include "agent/search_core.h"
#include "agent/state_archive.h"

namespace lathe {

// How many standard deviations better than believed a plan is hoped to be.
constexpr double kOptimism = 0.5;

// What is believed of a plan.
struct PlanBelief {
  DivergenceModel::Prediction divergence;
  double latency_ratio = 0;
  double size_ratio = 0;
};

struct PlanOutlook {
  // Accuracy as a share of the original's, hoped for, and a little for a lower
  // divergence even where no accuracy was seen to come of it.
  double worth = 0;
  double latency_ratio = 0;
  double size_ratio = 0;

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(worth);
    archive(latency_ratio);
    archive(size_ratio);
  }
};

// What an outcome of this divergence is worth.
double WorthOf(const AccuracyCurve& curve, double divergence);

// Of each plan in turn. Without the surrogate only the sums of damages and the
// nearest row are believed.
std::vector<PlanBelief> BeliefsOf(const SearchCore& core,
                                  const DivergenceModel& model,
                                  bool has_surrogate,
                                  absl::Span<const Choices> plans);

PlanOutlook OutlookOf(const PlanBelief& belief, const AccuracyCurve& curve,
                      double optimism = kOptimism);

// The outlook of each plan in turn.
std::vector<PlanOutlook> OutlooksOf(const SearchCore& core,
                                    const DivergenceModel& model,
                                    const AccuracyCurve& curve,
                                    bool has_surrogate,
                                    absl::Span<const Choices> plans);

// Predicted gain of volume; where there is none, how far (negative) the plan
// stays below the frontier.
double PromiseOf(const PlanOutlook& outlook, const BudgetGrid& grid);

}  // namespace lathe

#endif  // LATHE_AGENT_PLAN_OUTLOOK_H_
