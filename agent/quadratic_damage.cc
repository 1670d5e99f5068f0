#include "agent/quadratic_damage.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <utility>

namespace lathe {

QuadraticDamage::QuadraticDamage(const DecisionSpace& space,
                                 const SensitivityTable& singles,
                                 const std::vector<Pair>& pairs) {
  int variables = 0;
  for (const Decision& decision : space.decisions()) {
    first_.push_back(variables);
    variables += decision.count - 1;
  }
  matrix_ = Eigen::MatrixXd::Zero(variables, variables);
  for (int d = 0; d < space.size(); ++d) {
    for (int c = 1; c < space.decisions()[d].count; ++c) {
      matrix_(VariableOf(d, c), VariableOf(d, c)) = 2 * singles.Loss(d, c);
    }
  }
  for (const Pair& pair : pairs) {
    const int a = VariableOf(pair.a.decision, pair.a.choice);
    const int b = VariableOf(pair.b.decision, pair.b.choice);
    matrix_(a, b) = pair.interaction;
    matrix_(b, a) = pair.interaction;
  }
  if (variables == 0) return;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(matrix_);
  if (eigen.eigenvalues()[0] >= 0) return;
  matrix_ = eigen.eigenvectors() *
            eigen.eigenvalues().cwiseMax(0).asDiagonal() *
            eigen.eigenvectors().transpose();
}

double QuadraticDamage::Field(const Choices& choices, int d, int choice) const {
  if (choice == 0) return 0;
  const int v = VariableOf(d, choice);
  double field = matrix_(v, v) / 2;
  for (size_t e = 0; e < choices.size(); ++e) {
    if (static_cast<int>(e) == d || choices[e] == 0) continue;
    field += matrix_(VariableOf(static_cast<int>(e), choices[e]), v);
  }
  return field;
}

double QuadraticDamage::Change(const Choices& choices, int d,
                               int choice) const {
  return Field(choices, d, choice) - Field(choices, d, choices[d]);
}

double QuadraticDamage::Of(const Choices& choices) const {
  double sum = 0;
  Choices partial(choices.size(), 0);
  for (size_t d = 0; d < choices.size(); ++d) {
    sum += Change(partial, static_cast<int>(d), choices[d]);
    partial[d] = choices[d];
  }
  return sum;
}

Choices LeastQuadraticDamage(const SearchCore& core,
                             const QuadraticDamage& damage,
                             const Limits& limits, Choices start,
                             Random* random) {
  // Enough that every optimum of spaces small enough to enumerate is found.
  constexpr int kSteps = 1500;
  // Of the start's damage, at the first and the last step.
  constexpr double kFirstHeat = 0.2, kLastHeat = 1e-5;
  Choices plan = std::move(start);
  if (plan.empty()) return plan;
  double now = damage.Of(plan);
  Choices best = plan;
  double least = now;
  const double scale = now + 1e-6;
  for (int step = 0; step < kSteps; ++step) {
    const double heat =
        scale * kFirstHeat *
        std::pow(kLastHeat / kFirstHeat, static_cast<double>(step) / kSteps);
    Choices changed = plan;
    double change = 0;
    const int moves = random->Uniform() < 0.5 ? 1 : 2;
    for (int i = 0; i < moves; ++i) {
      const int d = random->Below(core.space().size());
      const int choice = random->Below(core.space().decisions()[d].count);
      change += damage.Change(changed, d, choice);
      changed[d] = choice;
    }
    if (change > 0 && random->Uniform() >= std::exp(-change / heat)) continue;
    if (!core.IsWithin(changed, limits)) continue;
    plan = std::move(changed);
    now += change;
    if (now >= least) continue;
    least = now;
    best = plan;
  }
  return best;
}

}  // namespace lathe
