// What the policy sees before each decision.
#ifndef LATHE_AGENT_STATE_FEATURES_H_
#define LATHE_AGENT_STATE_FEATURES_H_

#include <vector>

#include "agent/budget_grid.h"
#include "agent/divergence_model.h"
#include "agent/reachability.h"
#include "agent/search_core.h"

namespace lathe {

// Immutable; reads the core and the model as they stand at each call.
class StateFeatures {
 public:
  // Both must outlive this.
  StateFeatures(const SearchCore* core, const DivergenceModel* model);

  static int Size();

  // The state at the walker's next decision, every number of the order of 1:
  // the layer's shape, its share of work and weights, the measured latency of
  // each precision at the channels kept so far, the damage its choices are
  // believed to do, latency and size spent and still needed, the budgets, and
  // the actions before. REQUIRES: the walker is not complete.
  std::vector<float> At(const PrefixWalker& walker,
                        const EpisodeBudget& budget) const;

 private:
  const SearchCore& core_;
  const DivergenceModel& model_;
  double most_macs_ = 1;
  double most_parameters_ = 1;
};

// The middle of a choice's share of [0, 1], and the choice that an action
// falls on.
double ToAction(int choice, int count);
int ToChoice(double action, int count);

}  // namespace lathe

#endif  // LATHE_AGENT_STATE_FEATURES_H_
