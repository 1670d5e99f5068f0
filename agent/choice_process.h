// A smooth function of plans, known at some of them.
#ifndef LATHE_AGENT_CHOICE_PROCESS_H_
#define LATHE_AGENT_CHOICE_PROCESS_H_

#include <Eigen/Dense>
#include <vector>

#include "absl/types/span.h"
#include "agent/decisions.h"
#include "agent/gaussian_weights.h"
#include "agent/state_archive.h"

namespace lathe {

// Gaussian-process regression over plans. The covariance of two plans is
//   variance x exp(-sum over decisions of distance / length),
// where keep ratios are as far apart as their binary logarithms and options as
// far as their widths; the two kinds of decision have a length each. Variance
// and lengths are those of the greatest marginal likelihood, searched by
// doubling and halving from the last ones. Not thread-safe.
class ChoiceProcess {
 public:
  // `space` must outlive the process. `noise_sd` is the standard error of one
  // value.
  ChoiceProcess(const DecisionSpace* space, double noise_sd);

  // REQUIRES: as many values as plans.
  void Fit(absl::Span<const Choices> plans, absl::Span<const double> values);

  struct Prediction {
    double mean = 0;
    double sd = 0;
  };
  // What the others' values say of each value of the last fit (leaving one out,
  // Rasmussen and Williams, equation 5.12), in the order of its last plans.
  std::vector<double> LeftOut() const;

  // Mean 0 and the prior's spread before the first fit.
  std::vector<Prediction> Predict(absl::Span<const Choices> plans) const;

  struct Neighbour {
    // In how many decisions it differs.
    int changes = 0;
    double value = 0;
  };
  // The plan of the last fit that differs least from each plan in turn, with
  // the mean of the values of those that differ as little. Value 0 before the
  // first fit.
  std::vector<Neighbour> Nearest(absl::Span<const Choices> plans) const;

  // See StateArchive.
  void Visit(StateArchive& archive);

 private:
  struct Settings {
    double variance = 0.1;
    double keep_length = 8;
    double option_length = 16;
  };
  // Sums of distances by kind between two sets of plans.
  struct Distances {
    Eigen::MatrixXd keep;
    Eigen::MatrixXd option;
  };
  Distances DistancesOf(absl::Span<const Choices> a,
                        absl::Span<const Choices> b) const;
  static Eigen::MatrixXd Covariance(const Distances& distances,
                                    const Settings& settings);
  GaussianWeights FitWith(const Distances& distances, const Settings& settings,
                          const Eigen::VectorXd& values) const;
  void ChooseSettings(const Distances& distances,
                      const Eigen::VectorXd& values);

  const DecisionSpace& space_;
  const double noise_sd_;
  // Place of each choice of each decision on its axis.
  std::vector<std::vector<double>> places_;
  Settings settings_;
  // Rows at which the settings were chosen.
  int settings_rows_ = 0;
  std::vector<Choices> plans_;
  std::vector<double> values_;
  GaussianWeights weights_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_CHOICE_PROCESS_H_
