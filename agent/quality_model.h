// Predicts how much quality a plan loses, from the trials seen so far.
#ifndef LATHE_AGENT_QUALITY_MODEL_H_
#define LATHE_AGENT_QUALITY_MODEL_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/archive.h"
#include "agent/decisions.h"
#include "agent/random.h"

namespace lathe {

// Losses of single choices add up to a damage z; the quality is
// least x (1 - exp(-z^b)), so that heavy damage saturates; b, fitted too, is
// above 1 where losses amplify each other. A harsher choice of a
// decision never has less damage. What choices have in common over the
// network (all int8 layers, all pruned channels) is one parameter, what is
// special to a layer another one that is believed to be small: so a few plans
// that treat layers alike already say something about each.
//
// Parameters are non-negative and fitted by coordinate descent to relative
// errors: small losses, which decide between good plans, count as much as
// large ones. A few members are fitted to randomly weighted trials (Bayesian
// bootstrap); their spread is what is not known. Not thread-safe.
class QualityModel {
 public:
  static constexpr int kMembers = 4;

  // `space` must outlive the model.
  explicit QualityModel(const DecisionSpace* space);

  // Fits member 0 to all rows alike and the others to random weights. Starts
  // from the last fit.
  void Fit(const std::vector<Evaluated>& rows, Random* random);

  // Quality of a plan by one member: its damage, times what the model was off
  // at the trials most like it (a kernel average of the log ratios of measured
  // to predicted damage).
  double Quality(absl::Span<const int> choices, int member) const;
  // Damage of a plan, the sum of that of its choices, by one member.
  double Damage(absl::Span<const int> choices, int member) const;
  double ChoiceDamage(int decision, int choice, int member) const {
    return damage_[member][decision][choice];
  }

  double DamageOf(double quality) const;
  double QualityOf(double damage) const;

 private:
  // A parameter of the model and the plans that it adds to.
  struct Feature {
    int decision = 0;
    // Added from this place in the decision's order of harshness on.
    int rank = 0;
  };
  std::vector<float> FeaturesOf(absl::Span<const int> choices) const;
  void FitMember(const std::vector<std::vector<float>>& columns,
                 const std::vector<double>& targets,
                 const std::vector<double>& weights,
                 std::vector<double>* parameters) const;
  void FillTable(int member);
  void FitExponent(const std::vector<Evaluated>& rows);

  const DecisionSpace& space_;
  // rank_[decision][choice]: place among the decision's choices by harshness.
  std::vector<std::vector<int>> rank_;
  // Distinct options of all layers by harshness; the place of each choice.
  int shared_options_ = 0;
  std::vector<std::vector<int>> shared_rank_;
  std::vector<Feature> features_;
  int shared_count_ = 0;
  std::vector<std::vector<double>> parameters_;
  double exponent_ = 1;
  // Trials of the last fit, and by how much member 0 was off at each.
  std::vector<Choices> fitted_;
  std::vector<double> log_residuals_;
  // damage_[member][decision][choice].
  std::vector<std::vector<std::vector<double>>> damage_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_QUALITY_MODEL_H_
