// Predicts a plan's divergence from the original's outputs, from trials.
#ifndef LATHE_AGENT_DIVERGENCE_MODEL_H_
#define LATHE_AGENT_DIVERGENCE_MODEL_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/archive.h"
#include "agent/choice_process.h"
#include "agent/decisions.h"

namespace lathe {

// What rewards are made of: 0 for outputs like the original's, -1 for others
// altogether; nats.
double QualityOfDivergence(double divergence);

// Two parts. Damages of single choices add up: a harsher choice of a decision
// never has less, what choices have in common over the network (all int8
// layers, all pruned channels) is one parameter and what is special to a layer
// another that is believed to be small, so that a few plans which treat layers
// alike already say something about each. Plans that differ from the
// uncompressed network in one decision show that decision's damage; the more
// they differ in, the less they are trusted to be sums. By what factor the sum
// is off is the other part, a Gaussian process over plans. The first part is
// what can be minimised exactly, both together are what is believed. While
// both, cross-validated, order the best third of the rows with a rank
// correlation of less than 0.6, a sum is believed to be off by the factor of
// the nearest row, the less so the more decisions lie between.
// Not thread-safe.
class DivergenceModel {
 public:
  // `space` must outlive the model. `baseline_divergence`: of the uncompressed
  // network, nats.
  DivergenceModel(const DecisionSpace* space, double baseline_divergence);

  // Starts from the last fit. `singles`, plans that change one decision and of
  // which only the divergence is known, teach the sums alone.
  void Fit(const std::vector<Evaluated>& rows,
           absl::Span<const Evaluated> singles = {});

  // Of the natural logarithm of divergence + kFloor.
  struct Prediction {
    double log_mean = 0;
    double log_sd = 0;

    double Mean() const { return Optimistic(0); }
    // The divergence that is `sds` standard deviations better than the mean.
    double Optimistic(double sds) const;
  };
  std::vector<Prediction> Predict(absl::Span<const Choices> plans) const;
  // Whether both parts are believed.
  bool is_trusted() const { return is_trusted_; }
  // By the sums and the nearest row, and sure of it.
  std::vector<Prediction> PredictByNearest(
      absl::Span<const Choices> plans) const;

  // Damage of a plan, the sum of that of its choices, nats.
  double Damage(absl::Span<const int> choices) const;
  double ChoiceDamage(int decision, int choice) const {
    return damage_[decision][choice];
  }

  // See StateArchive.
  void Visit(StateArchive& archive);

  // Divergences are not told apart below this: far less than what changes one
  // answer in a thousand.
  static constexpr double kFloor = 3e-4;

 private:
  // A parameter of the model and the plans that it adds to.
  struct Feature {
    int decision = 0;
    // Added from this place in the decision's order of harshness on.
    int rank = 0;
  };
  // A sum of damages, the divergence that was measured, and 1 / error^2.
  struct Sums {
    std::vector<std::vector<float>> columns;  // By parameter, then row.
    std::vector<double> targets;
    std::vector<double> weights;
  };
  std::vector<float> FeaturesOf(absl::Span<const int> choices) const;
  void AddTo(const Evaluated& row, Sums* sums) const;
  void FitParameters(const Sums& sums);
  void FillTable();
  // What a plan diverges by according to the sums, above the floor.
  double FlooredSum(absl::Span<const int> choices) const;
  double LogOff(const Evaluated& row) const;
  // Sets is_trusted_ by the last fit, which was to `rows`.
  void Judge(const std::vector<Evaluated>& rows);

  const DecisionSpace& space_;
  const double baseline_divergence_;
  // rank_[decision][choice]: place among the decision's choices by harshness.
  std::vector<std::vector<int>> rank_;
  // Distinct options of all layers by harshness; the place of each choice.
  int shared_options_ = 0;
  std::vector<std::vector<int>> shared_rank_;
  std::vector<Feature> features_;
  int shared_count_ = 0;
  std::vector<double> parameters_;
  // damage_[decision][choice].
  std::vector<std::vector<double>> damage_;
  ChoiceProcess off_;
  bool is_trusted_ = true;
  // Rows when it was last judged.
  double judged_rows_ = 0;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DIVERGENCE_MODEL_H_
