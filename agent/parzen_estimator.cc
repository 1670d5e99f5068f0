#include "agent/parzen_estimator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lathe {

ParzenEstimator::ParzenEstimator(const DecisionSpace& space,
                                 std::vector<Choices> plans,
                                 std::vector<double> weights)
    : plans_(std::move(plans)),
      weights_(std::move(weights)),
      // One pseudo-observation shared by the choices, as in Optuna's
      // estimator: kernels narrow as plans come in.
      spread_(1.0 / static_cast<double>(plans_.size() + 1)) {
  for (const Decision& decision : space.decisions()) {
    counts_.push_back(decision.count);
  }
  weights_.push_back(1);
}

double ParzenEstimator::Probability(int decision, int kernel_choice,
                                    int choice) const {
  const double own = kernel_choice == choice ? 1 : 0;
  return (own + spread_) / (1 + spread_ * counts_[decision]);
}

Choices ParzenEstimator::Draw(Random* random) const {
  const size_t kernel = random->Weighted(weights_);
  Choices drawn;
  for (size_t d = 0; d < counts_.size(); ++d) {
    const bool is_uniform =
        kernel == plans_.size() ||
        random->Uniform() < spread_ * counts_[d] / (1 + spread_ * counts_[d]);
    drawn.push_back(is_uniform ? random->Below(counts_[d]) : plans_[kernel][d]);
  }
  return drawn;
}

double ParzenEstimator::LogDensity(const Choices& choices) const {
  double total = 0;
  double density = 0;
  for (size_t kernel = 0; kernel < weights_.size(); ++kernel) {
    double product = weights_[kernel];
    for (size_t d = 0; d < counts_.size(); ++d) {
      product *=
          kernel == plans_.size()
              ? 1.0 / counts_[d]
              : Probability(static_cast<int>(d), plans_[kernel][d], choices[d]);
    }
    density += product;
    total += weights_[kernel];
  }
  // Products of a hundred small numbers may vanish.
  constexpr double kLeast = 1e-300;
  return std::log(std::max(kLeast, density / total));
}

}  // namespace lathe
