// A density over plans around some that were seen.
#ifndef LATHE_AGENT_PARZEN_ESTIMATOR_H_
#define LATHE_AGENT_PARZEN_ESTIMATOR_H_

#include <vector>

#include "agent/decisions.h"
#include "agent/random.h"

namespace lathe {

// The Parzen estimator of TPE for categorical choices, with all decisions
// together (Falkner et al., "BOHB", 2018): a mixture of one kernel per plan, in
// proportion to its weight, and of the uniform density, which weighs as much as
// one plan of weight 1. A kernel gives the plan's own choice of a decision most
// of the probability and shares the rest among all choices (Aitchison and
// Aitken 1976). Immutable.
class ParzenEstimator {
 public:
  // REQUIRES: as many weights, all >= 0, as plans; every plan has a choice in
  // range per decision.
  ParzenEstimator(const DecisionSpace& space, std::vector<Choices> plans,
                  std::vector<double> weights);

  Choices Draw(Random* random) const;
  double LogDensity(const Choices& choices) const;

 private:
  double Probability(int decision, int kernel_choice, int choice) const;

  std::vector<int> counts_;
  // The last kernel is the uniform density and has no plan.
  std::vector<Choices> plans_;
  std::vector<double> weights_;
  double spread_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_PARZEN_ESTIMATOR_H_
