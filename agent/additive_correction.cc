#include "agent/additive_correction.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "proto/latency_curve.h"

namespace lathe {
namespace {

// Kinds are precisions (proto/latency_curve.h).
constexpr int kKinds = kPrecisionCount;

// No kernel can do with less, and negative parts would break every bound.
constexpr double kLeastFactor = 0.2;

// Distance at which the errors of two settings of a layer are alike to 1/e.
constexpr double kReach = 1.5;

// Settings of the noise are chosen anew when there are so many times as many
// rows.
constexpr size_t kRowsPerRefit = 150;
// A fit's memory grows with the second power of the rows and its time with the
// third. 400 is beyond the longest search that the fit was tuned on (300) and
// far more totals than a network has parts; a refit of so many takes about a
// tenth of a second.
constexpr size_t kMostRows = 400;

double TotalOf(const CostParts& parts) {
  double total = parts.rest;
  for (const CostPart& part : parts.layers) total += part.amount;
  return total;
}

double OfKind(const CostParts& parts, int kind) {
  double total = 0;
  for (const CostPart& part : parts.layers) {
    if (part.kind == kind) total += part.amount;
  }
  return total;
}

double SavingOf(const CostParts& parts) {
  double total = 0;
  for (const CostPart& part : parts.layers) total += part.saving;
  return total;
}

double Square(double x) { return x * x; }

}  // namespace

AdditiveCorrection::AdditiveCorrection(const Options& options)
    : options_(options),
      of_layer_(options.of_layer),
      noise_(options.noise),
      kinds_(kKinds, 0) {}

double AdditiveCorrection::LayerCovariance(const CostPart& a,
                                           const CostPart& b) const {
  const double distance = std::abs(a.log_in - b.log_in) +
                          std::abs(a.log_out - b.log_out) +
                          std::abs(a.option - b.option);
  return std::exp(-distance / kReach);
}

bool AdditiveCorrection::Observe(CostParts parts, double total) {
  if (rows_.size() >= kMostRows) return false;
  rows_.push_back(std::move(parts));
  totals_.push_back(total);
  trust_.push_back(1);
  Extend(static_cast<Eigen::Index>(rows_.size()));
  // A refit takes a time that grows with the third power of the rows.
  if (rows_.size() - fitted_rows_ > rows_.size() / kRowsPerRefit ||
      rows_.size() == kMostRows) {
    Fit();
  }
  return true;
}

void AdditiveCorrection::Extend(Eigen::Index n) {
  common_.conservativeResize(n, n);
  layered_.conservativeResize(n, n);
  const CostParts& last = rows_[n - 1];
  const double last_total = TotalOf(last);
  const double last_saving = SavingOf(last);
  double last_kinds[kKinds];
  for (int kind = 0; kind < kKinds; ++kind) {
    last_kinds[kind] = OfKind(last, kind);
  }
  for (Eigen::Index i = 0; i < n; ++i) {
    const CostParts& row = rows_[i];
    double common = Square(options_.of_all) * TotalOf(row) * last_total +
                    Square(options_.of_rest) * row.rest * last.rest +
                    Square(options_.of_saving) * SavingOf(row) * last_saving;
    for (int kind = 0; kind < kKinds; ++kind) {
      common += Square(options_.of_kind) * OfKind(row, kind) * last_kinds[kind];
    }
    double layered = 0;
    for (size_t l = 0; l < row.layers.size(); ++l) {
      layered += row.layers[l].amount * last.layers[l].amount *
                 LayerCovariance(row.layers[l], last.layers[l]);
    }
    common_(i, n - 1) = common_(n - 1, i) = common;
    layered_(i, n - 1) = layered_(n - 1, i) = layered;
  }
}

GaussianWeights AdditiveCorrection::FitWith(double of_layer,
                                            double noise) const {
  const Eigen::Index n = static_cast<Eigen::Index>(rows_.size());
  Eigen::MatrixXd covariance = common_ + Square(of_layer) * layered_;
  Eigen::VectorXd errors(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    covariance(i, i) += Square(noise * totals_[i]) / trust_[i];
    errors[i] = totals_[i] - TotalOf(rows_[i]);
  }
  return FitGaussian(covariance, errors);
}

void AdditiveCorrection::SetTrust(const GaussianWeights& weights) {
  // Huber's constant: 95 % efficiency where errors are normal.
  constexpr double kHuber = 1.345;
  const Eigen::Index n = weights.alpha.size();
  // The diagonal of the inverse covariance.
  const Eigen::VectorXd inverse = weights.factor.triangularView<Eigen::Lower>()
                                      .solve(Eigen::MatrixXd::Identity(n, n))
                                      .colwise()
                                      .squaredNorm();
  for (Eigen::Index i = 0; i < n; ++i) {
    // What the other totals say of this one (leaving one out, Rasmussen and
    // Williams, equation 5.12), and how sure they are.
    const double variance = Square(noise_ * totals_[i]);
    const double left = weights.alpha[i] / inverse[i];
    const double predicted =
        std::max(0.0, 1 / inverse[i] - variance / trust_[i]);
    const double sds = std::abs(left) / std::sqrt(predicted + variance);
    trust_[i] = Square(kHuber / std::max(kHuber, sds));
  }
}

void AdditiveCorrection::Fit() {
  constexpr double kLeastNoise = 1e-3, kMostNoise = 0.1;
  constexpr double kLeastOfLayer = 0.01, kMostOfLayer = 1;
  fitted_rows_ = rows_.size();
  SetTrust(FitWith(of_layer_, noise_));
  GaussianWeights best = FitWith(of_layer_, noise_);
  for (const auto& [layer_factor, noise_factor] :
       {std::pair{2.0, 1.0}, {0.5, 1.0}, {1.0, 2.0}, {1.0, 0.5}}) {
    const double of_layer =
        std::clamp(of_layer_ * layer_factor, kLeastOfLayer, kMostOfLayer);
    const double noise =
        std::clamp(noise_ * noise_factor, kLeastNoise, kMostNoise);
    GaussianWeights tried = FitWith(of_layer, noise);
    if (tried.log_likelihood <= best.log_likelihood) continue;
    best = std::move(tried);
    of_layer_ = of_layer;
    noise_ = noise;
  }
  alpha_ = best.alpha;
  all_ = rest_ = saving_ = 0;
  kinds_.assign(kKinds, 0);
  for (size_t i = 0; i < rows_.size(); ++i) {
    const double alpha = alpha_[static_cast<Eigen::Index>(i)];
    all_ += Square(options_.of_all) * alpha * TotalOf(rows_[i]);
    rest_ += Square(options_.of_rest) * alpha * rows_[i].rest;
    saving_ -= Square(options_.of_saving) * alpha * SavingOf(rows_[i]);
    for (int kind = 0; kind < kKinds; ++kind) {
      kinds_[kind] += Square(options_.of_kind) * alpha * OfKind(rows_[i], kind);
    }
  }
}

double AdditiveCorrection::Corrected(int layer, const CostPart& part) const {
  double error = all_ + kinds_[part.kind];
  double own = 0;
  for (Eigen::Index i = 0; i < alpha_.size(); ++i) {
    const CostPart& seen = rows_[i].layers[layer];
    own += alpha_[i] * seen.amount * LayerCovariance(part, seen);
  }
  error += Square(of_layer_) * own;
  const double amount = part.amount * (1 + error) - part.saving * saving_;
  return std::max(amount, kLeastFactor * (part.amount - part.saving));
}

double AdditiveCorrection::CorrectedRest(double rest) const {
  return rest * std::max(kLeastFactor, 1 + all_ + rest_);
}

void AdditiveCorrection::Visit(StateArchive& archive) {
  for (double* number : {&of_layer_, &noise_, &all_, &rest_, &saving_}) {
    archive(*number);
  }
  archive(rows_);
  archive(totals_);
  archive(trust_);
  archive(fitted_rows_);
  archive(alpha_);
  archive(kinds_);
  if (!archive.is_reading() || !archive.is_sound()) return;
  common_.resize(0, 0);
  layered_.resize(0, 0);
  for (size_t n = 1; n <= rows_.size(); ++n) {
    Extend(static_cast<Eigen::Index>(n));
  }
}

}  // namespace lathe
