// What the policy sees before each decision.
#ifndef LATHE_AGENT_STATE_FEATURES_H_
#define LATHE_AGENT_STATE_FEATURES_H_

#include <array>
#include <vector>

#include "agent/budget_grid.h"
#include "agent/divergence_model.h"
#include "agent/reachability.h"
#include "agent/search_core.h"
#include "proto/latency_curve.h"

namespace lathe {

// Immutable; reads the core and the model as they stand at each call.
class StateFeatures {
 public:
  // Both must outlive this.
  StateFeatures(const SearchCore* core, const DivergenceModel* model);

  static int Size();

  // The state at the walker's next decision, every number of the order of 1:
  // the layer's shape, its share of work and weights, the measured latency of
  // each precision at the channels kept so far, the damage its choices and
  // those of its other decision are believed to do, latency and size spent and
  // still needed, the budgets, and the actions before. REQUIRES: the walker is
  // not complete.
  std::vector<float> At(const PrefixWalker& walker,
                        const EpisodeBudget& budget) const;

  // What a choice for that decision costs by itself.
  static constexpr int kChoiceCosts = 3;
  struct ChoiceCosts {
    // By how much the least latency and size that can still be reached rise, as
    // multiples of an average layer's share.
    float us = 0;
    float bytes = 0;
    // The measured conversion of what the layer reads, the same multiple, where
    // the layer that feeds it was given another precision.
    float reorder_us = 0;
  };
  ChoiceCosts CostsOf(const PrefixWalker& walker, int choice) const;

 private:
  static constexpr int kNoLayer = -1;

  void FindFeeders();
  void FindReorders();
  // Microseconds; see ChoiceCosts.
  float ReorderUs(const PrefixWalker& walker, int choice) const;
  // Damage at a third and two thirds of a decision's choices and at its last.
  void AppendDamages(int decision, std::vector<float>* state) const;

  const SearchCore& core_;
  const DivergenceModel& model_;
  double most_macs_ = 1;
  double most_parameters_ = 1;
  // By layer: the last one before it whose channels it reads; none for -1.
  std::vector<int> feeder_;
  // Mean of the measured conversions, by layer and precision, microseconds.
  std::vector<std::array<double, kPrecisionCount>> reorder_us_;
};

// The middle of a choice's share of [0, 1], and the choice that an action
// falls on.
double ToAction(int choice, int count);
int ToChoice(double action, int count);

}  // namespace lathe

#endif  // LATHE_AGENT_STATE_FEATURES_H_
