#include "agent/choice_process.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

// Rows beyond this are not looked at, the oldest first: the time of a fit grows
// with the third power.
constexpr size_t kMostRows = 500;

// The settings are chosen anew when there are so many times as many rows.
constexpr double kSettingsGrowth = 1.15;

// How far from f32, in the units of the kernel's lengths: what is rounded, then
// how coarsely. Only the order of magnitude matters, the lengths are fitted.
double OptionPlace(const v1::PrecisionOption& option) {
  if (option.precision() == v1::BF16) return 0.5;
  if (option.precision() != v1::F32) {
    return 1 + (8 - option.weight_bits()) / 2.0;
  }
  // Only the weights are rounded.
  return option.weight_bits() > 8 ? 0 : 0.5 + (8 - option.weight_bits()) / 2.0;
}

}  // namespace

ChoiceProcess::ChoiceProcess(const DecisionSpace* space, double noise_sd)
    : space_(*space), noise_sd_(noise_sd) {
  for (const Decision& decision : space_.decisions()) {
    std::vector<double>& places = places_.emplace_back();
    for (int c = 0; c < decision.count; ++c) {
      places.push_back(
          decision.is_keep
              ? -std::log2(space_.groups()[decision.group].keep_ratios[c])
              : OptionPlace(space_.option(decision.layer, c)));
    }
  }
}

ChoiceProcess::Distances ChoiceProcess::DistancesOf(
    absl::Span<const Choices> a, absl::Span<const Choices> b) const {
  Distances distances;
  distances.keep = Eigen::MatrixXd::Zero(a.size(), b.size());
  distances.option = distances.keep;
  Eigen::VectorXd column(a.size());
  for (int d = 0; d < space_.size(); ++d) {
    const std::vector<double>& places = places_[d];
    if (places.size() == 1) continue;
    for (size_t i = 0; i < a.size(); ++i) column[i] = places[a[i][d]];
    Eigen::MatrixXd& sum =
        space_.decisions()[d].is_keep ? distances.keep : distances.option;
    for (size_t j = 0; j < b.size(); ++j) {
      sum.col(j).array() += (column.array() - places[b[j][d]]).abs();
    }
  }
  return distances;
}

Eigen::MatrixXd ChoiceProcess::Covariance(const Distances& distances,
                                          const Settings& settings) {
  return settings.variance * (-distances.keep.array() / settings.keep_length -
                              distances.option.array() / settings.option_length)
                                 .exp();
}

GaussianWeights ChoiceProcess::FitWith(const Distances& distances,
                                       const Settings& settings,
                                       const Eigen::VectorXd& values) const {
  Eigen::MatrixXd covariance = Covariance(distances, settings);
  covariance.diagonal().array() += noise_sd_ * noise_sd_;
  return FitGaussian(covariance, values);
}

void ChoiceProcess::ChooseSettings(const Distances& distances,
                                   const Eigen::VectorXd& values) {
  constexpr int kMostSteps = 6;
  constexpr double kLeast = 1e-3, kMost = 1e3;
  double best = FitWith(distances, settings_, values).log_likelihood;
  for (int step = 0; step < kMostSteps; ++step) {
    bool is_better = false;
    for (double Settings::*setting :
         {&Settings::variance, &Settings::keep_length,
          &Settings::option_length}) {
      for (const double factor : {2.0, 0.5}) {
        Settings tried = settings_;
        tried.*setting = std::clamp(tried.*setting * factor, kLeast, kMost);
        const double likelihood =
            FitWith(distances, tried, values).log_likelihood;
        if (likelihood <= best) continue;
        best = likelihood;
        settings_ = tried;
        is_better = true;
        break;
      }
    }
    if (!is_better) return;
  }
}

void ChoiceProcess::Fit(absl::Span<const Choices> plans,
                        absl::Span<const double> values) {
  const size_t skipped =
      plans.size() > kMostRows ? plans.size() - kMostRows : 0;
  plans_.assign(plans.begin() + skipped, plans.end());
  const Eigen::Map<const Eigen::VectorXd> targets(
      values.data() + skipped, static_cast<Eigen::Index>(plans_.size()));
  const Distances distances = DistancesOf(plans_, plans_);
  if (static_cast<double>(plans.size()) >= kSettingsGrowth * settings_rows_) {
    settings_rows_ = static_cast<int>(plans.size());
    ChooseSettings(distances, targets);
  }
  weights_ = FitWith(distances, settings_, targets);
  values_.assign(values.begin() + skipped, values.end());
}

std::vector<double> ChoiceProcess::LeftOut() const {
  const Eigen::Index n = weights_.alpha.size();
  const Eigen::VectorXd inverse = weights_.factor.triangularView<Eigen::Lower>()
                                      .solve(Eigen::MatrixXd::Identity(n, n))
                                      .colwise()
                                      .squaredNorm();
  std::vector<double> left;
  for (Eigen::Index i = 0; i < n; ++i) {
    left.push_back(values_[i] - weights_.alpha[i] / inverse[i]);
  }
  return left;
}

std::vector<ChoiceProcess::Prediction> ChoiceProcess::Predict(
    absl::Span<const Choices> plans) const {
  std::vector<Prediction> predictions(
      plans.size(), Prediction{0, std::sqrt(settings_.variance)});
  if (plans_.empty() || plans.empty()) return predictions;
  const Eigen::MatrixXd covariance =
      Covariance(DistancesOf(plans_, plans), settings_);
  const Eigen::VectorXd means = covariance.transpose() * weights_.alpha;
  const Eigen::MatrixXd explained =
      weights_.factor.triangularView<Eigen::Lower>().solve(covariance);
  for (size_t i = 0; i < plans.size(); ++i) {
    const double left =
        settings_.variance -
        explained.col(static_cast<Eigen::Index>(i)).squaredNorm();
    predictions[i] = {means[static_cast<Eigen::Index>(i)],
                      std::sqrt(std::max(0.0, left))};
  }
  return predictions;
}

std::vector<ChoiceProcess::Neighbour> ChoiceProcess::Nearest(
    absl::Span<const Choices> plans) const {
  std::vector<Neighbour> neighbours;
  for (const Choices& plan : plans) {
    Neighbour& nearest = neighbours.emplace_back();
    int ties = 0;
    for (size_t i = 0; i < plans_.size(); ++i) {
      int changes = 0;
      for (int d = 0; d < space_.size(); ++d) {
        changes += static_cast<int>(plan[d] != plans_[i][d]);
      }
      if (ties == 0 || changes < nearest.changes) {
        nearest = {changes, 0};
        ties = 0;
      }
      if (changes > nearest.changes) continue;
      ++ties;
      nearest.value += (values_[i] - nearest.value) / ties;
    }
  }
  return neighbours;
}

void ChoiceProcess::Visit(StateArchive& archive) {
  archive(settings_.variance);
  archive(settings_.keep_length);
  archive(settings_.option_length);
  archive(settings_rows_);
  archive(plans_);
  archive(values_);
  if (!archive.is_reading() || !archive.is_sound() || plans_.empty()) return;
  const Eigen::Map<const Eigen::VectorXd> targets(
      values_.data(), static_cast<Eigen::Index>(values_.size()));
  weights_ = FitWith(DistancesOf(plans_, plans_), settings_, targets);
}

}  // namespace lathe
