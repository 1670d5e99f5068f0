// Damage of a plan with the interactions of pairs of choices.
#ifndef LATHE_AGENT_QUADRATIC_DAMAGE_H_
#define LATHE_AGENT_QUADRATIC_DAMAGE_H_

#include <Eigen/Dense>
#include <vector>

#include "agent/decisions.h"
#include "agent/random.h"
#include "agent/search_core.h"
#include "agent/sensitivity_table.h"

namespace lathe {

// CLADO's objective (Deng et al., "Mixed-Precision Quantization with
// Cross-Layer Dependencies", 2023): with one 0-1 variable per choice other than
// a decision's first, damage = x' G x / 2, where G has twice the damage of each
// single change on its diagonal and beside it by how much two changes together
// do more than the sum. Immutable.
class QuadraticDamage {
 public:
  struct Pair {
    SingleChange a;
    SingleChange b;
    // Damage of both together minus that of each, nats.
    double interaction = 0;
  };

  // `singles` gives all diagonal elements; pairs that are not listed count as
  // independent. G is replaced by the nearest positive semi-definite matrix, as
  // the paper does, so that errors of measurement cannot make a combination of
  // harms look like a gain.
  QuadraticDamage(const DecisionSpace& space, const SensitivityTable& singles,
                  const std::vector<Pair>& pairs);

  // Nats above the uncompressed model.
  double Of(const Choices& choices) const;
  // What Of changes by when decision `d` takes `choice` instead.
  double Change(const Choices& choices, int d, int choice) const;

 private:
  // Index of the variable of a choice > 0.
  int VariableOf(int decision, int choice) const {
    return first_[decision] + choice - 1;
  }
  // Of a choice with all others of the plan; 0 for a decision's first.
  double Field(const Choices& choices, int d, int choice) const;

  std::vector<int> first_;
  Eigen::MatrixXd matrix_;
};

// The plan of least damage that is predicted to be within `limits`: simulated
// annealing over changes of one and two decisions from `start`, which must be
// within them; the best plan seen. (The paper hands the quadratic programme to
// a commercial solver; latency here is no linear function of the choices.)
Choices LeastQuadraticDamage(const SearchCore& core,
                             const QuadraticDamage& damage,
                             const Limits& limits, Choices start,
                             Random* random);

}  // namespace lathe

#endif  // LATHE_AGENT_QUADRATIC_DAMAGE_H_
