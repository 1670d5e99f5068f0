#include "agent/divergence_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agent/rank_correlation.h"

namespace lathe {
namespace {

// Relative error of a sum of damages: of a single change, and of many.
constexpr double kSingleError = 0.05;
constexpr double kSumError = 0.7;

// Standard error of the logarithm of one measured divergence.
constexpr double kLogNoise = 0.02;

// Ridge penalties, in units of squared relative errors: a parameter of one
// layer is believed to be small, a shared one costs less.
constexpr double kLayerPenalty = 1;
constexpr double kSharedPenalty = 0.2;

// Of the best third of the rows, each predicted from all others; with fewer
// rows than kLeastJudged in it the correlation says nothing.
constexpr double kLeastRankCorrelation = 0.6;
constexpr size_t kLeastJudged = 8;

// How much of what the nearest row was off is believed of a plan, for each
// decision that lies between.
constexpr double kBeliefPerChange = 0.85;

constexpr int kSharedKeep = 2;  // Channels lost, and their square.

// Places of the numbers in ascending order; equal ones share a place.
std::vector<int> Ranks(const std::vector<double>& harshness) {
  std::vector<double> sorted = harshness;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<int> ranks;
  for (const double value : harshness) {
    ranks.push_back(
        static_cast<int>(std::lower_bound(sorted.begin(), sorted.end(), value) -
                         sorted.begin()));
  }
  return ranks;
}

// Greater for coarser numbers: by the weights' width first, of equal widths by
// what the layer reads.
double Harshness(const v1::PrecisionOption& option) {
  constexpr double kPerBit = 10;
  const double weights = -kPerBit * option.weight_bits();
  switch (option.precision()) {
    case v1::BF16:
      return weights + 1;
    case v1::INT8_DYNAMIC:
      return weights + 2;
    case v1::INT8:
      return weights + 3;
    default:
      return weights;
  }
}

}  // namespace

double QualityOfDivergence(double divergence) {
  return std::expm1(-divergence);
}

DivergenceModel::DivergenceModel(const DecisionSpace* space,
                                 double baseline_divergence)
    : space_(*space),
      baseline_divergence_(std::max(0.0, baseline_divergence)),
      off_(space, kLogNoise) {
  std::vector<double> option_harshness;
  for (const Decision& decision : space_.decisions()) {
    std::vector<double> harshness;
    for (int c = 0; c < decision.count; ++c) {
      harshness.push_back(decision.is_keep
                              ? -space_.groups()[decision.group].keep_ratios[c]
                              : Harshness(space_.option(decision.layer, c)));
    }
    if (!decision.is_keep) {
      option_harshness.insert(option_harshness.end(), harshness.begin(),
                              harshness.end());
    }
    rank_.push_back(Ranks(harshness));
  }
  const std::vector<int> shared = Ranks(option_harshness);
  size_t next = 0;
  for (int d = 0; d < space_.size(); ++d) {
    const Decision& decision = space_.decisions()[d];
    shared_rank_.emplace_back(decision.count, 0);
    if (decision.is_keep) continue;
    for (int c = 0; c < decision.count; ++c) {
      shared_rank_[d][c] = shared[next++];
      shared_options_ = std::max(shared_options_, shared_rank_[d][c]);
    }
  }
  shared_count_ = shared_options_ + kSharedKeep;
  for (int d = 0; d < space_.size(); ++d) {
    const int most = *std::max_element(rank_[d].begin(), rank_[d].end());
    for (int rank = 1; rank <= most; ++rank) features_.push_back({d, rank});
  }
  parameters_.assign(shared_count_ + features_.size(), 0);
  FillTable();
}

std::vector<float> DivergenceModel::FeaturesOf(
    absl::Span<const int> choices) const {
  std::vector<float> row(shared_count_ + features_.size(), 0);
  for (int d = 0; d < space_.size(); ++d) {
    const Decision& decision = space_.decisions()[d];
    if (decision.is_keep) {
      const double lost =
          1 - space_.groups()[decision.group].keep_ratios[choices[d]];
      row[shared_options_] += lost;
      row[shared_options_ + 1] += lost * lost;
    } else {
      for (int r = 0; r < shared_rank_[d][choices[d]]; ++r) row[r] += 1;
    }
  }
  for (size_t f = 0; f < features_.size(); ++f) {
    const int d = features_[f].decision;
    if (rank_[d][choices[d]] >= features_[f].rank) row[shared_count_ + f] = 1;
  }
  return row;
}

void DivergenceModel::FitParameters(const Sums& sums) {
  // Starting from the last fit, few sweeps suffice.
  constexpr int kSweeps = 12;
  const size_t rows = sums.targets.size();
  std::vector<double> residual = sums.targets;
  std::vector<double> curvature(parameters_.size(), 0);
  for (size_t p = 0; p < parameters_.size(); ++p) {
    const std::vector<float>& column = sums.columns[p];
    for (size_t i = 0; i < rows; ++i) {
      residual[i] -= parameters_[p] * column[i];
      curvature[p] += sums.weights[i] * column[i] * column[i];
    }
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t p = 0; p < parameters_.size(); ++p) {
      if (curvature[p] == 0) continue;
      const std::vector<float>& column = sums.columns[p];
      const bool is_shared = static_cast<int>(p) < shared_count_;
      const double penalty = is_shared ? kSharedPenalty : kLayerPenalty;
      double slope = 0;
      for (size_t i = 0; i < rows; ++i) {
        slope += sums.weights[i] * column[i] * residual[i];
      }
      const double old = parameters_[p];
      const double now = std::max(
          0.0, (slope + curvature[p] * old) / (curvature[p] + penalty));
      if (now == old) continue;
      for (size_t i = 0; i < rows; ++i) residual[i] -= (now - old) * column[i];
      parameters_[p] = now;
    }
  }
}

double DivergenceModel::FlooredSum(absl::Span<const int> choices) const {
  return baseline_divergence_ + Damage(choices) + kFloor;
}

// Log of measured over summed damage.
double DivergenceModel::LogOff(const Evaluated& row) const {
  return std::log((row.divergence + kFloor) / FlooredSum(row.choices));
}

void DivergenceModel::AddTo(const Evaluated& row, Sums* sums) const {
  const std::vector<float> features = FeaturesOf(row.choices);
  for (size_t p = 0; p < features.size(); ++p) {
    sums->columns[p].push_back(features[p]);
  }
  const auto changes = row.choices.size() -
                       std::count(row.choices.begin(), row.choices.end(), 0);
  const double damage = std::max(0.0, row.divergence - baseline_divergence_);
  const double error =
      kFloor + damage * (changes <= 1 ? kSingleError : kSumError);
  sums->targets.push_back(damage);
  sums->weights.push_back(1 / (error * error));
}

void DivergenceModel::Fit(const std::vector<Evaluated>& rows,
                          absl::Span<const Evaluated> singles) {
  Sums sums;
  sums.columns.resize(parameters_.size());
  for (const Evaluated& row : rows) AddTo(row, &sums);
  for (const Evaluated& row : singles) AddTo(row, &sums);
  FitParameters(sums);
  FillTable();
  std::vector<Choices> plans;
  std::vector<double> log_off;
  for (const Evaluated& row : rows) {
    plans.push_back(row.choices);
    log_off.push_back(LogOff(row));
  }
  off_.Fit(plans, log_off);
  // Rows come one by one, and judging takes as long as a fit.
  constexpr double kGrowth = 1.15;
  if (static_cast<double>(rows.size()) >= kGrowth * judged_rows_) {
    judged_rows_ = static_cast<double>(rows.size());
    Judge(rows);
  }
}

void DivergenceModel::Judge(const std::vector<Evaluated>& rows) {
  const std::vector<double> left_out = off_.LeftOut();
  const size_t skipped = rows.size() - left_out.size();
  std::vector<size_t> order(left_out.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return rows[skipped + a].divergence < rows[skipped + b].divergence;
  });
  order.resize(order.size() / 3);
  if (order.size() < kLeastJudged) return;
  std::vector<double> measured, predicted;
  for (const size_t i : order) {
    const Evaluated& row = rows[skipped + i];
    measured.push_back(row.divergence);
    predicted.push_back(std::log(FlooredSum(row.choices)) + left_out[i]);
  }
  is_trusted_ = RankCorrelation(measured, predicted) >= kLeastRankCorrelation;
}

void DivergenceModel::FillTable() {
  damage_.clear();
  for (const Decision& decision : space_.decisions()) {
    const int d = static_cast<int>(damage_.size());
    damage_.emplace_back(decision.count, 0.0);
    for (int c = 0; c < decision.count; ++c) {
      double& damage = damage_.back()[c];
      if (decision.is_keep) {
        const double lost = 1 - space_.groups()[decision.group].keep_ratios[c];
        damage += parameters_[shared_options_] * lost +
                  parameters_[shared_options_ + 1] * lost * lost;
      } else {
        for (int r = 0; r < shared_rank_[d][c]; ++r) damage += parameters_[r];
      }
    }
  }
  for (size_t f = 0; f < features_.size(); ++f) {
    const int d = features_[f].decision;
    for (size_t c = 0; c < damage_[d].size(); ++c) {
      if (rank_[d][c] >= features_[f].rank) {
        damage_[d][c] += parameters_[shared_count_ + f];
      }
    }
  }
}

double DivergenceModel::Damage(absl::Span<const int> choices) const {
  double damage = 0;
  for (size_t d = 0; d < choices.size(); ++d) damage += damage_[d][choices[d]];
  return damage;
}

std::vector<DivergenceModel::Prediction> DivergenceModel::Predict(
    absl::Span<const Choices> plans) const {
  if (!is_trusted_) return PredictByNearest(plans);
  const std::vector<ChoiceProcess::Prediction> off = off_.Predict(plans);
  std::vector<Prediction> predictions;
  for (size_t i = 0; i < plans.size(); ++i) {
    const double sum = FlooredSum(plans[i]);
    predictions.push_back({std::log(sum) + off[i].mean, off[i].sd});
  }
  return predictions;
}

std::vector<DivergenceModel::Prediction> DivergenceModel::PredictByNearest(
    absl::Span<const Choices> plans) const {
  const std::vector<ChoiceProcess::Neighbour> nearest = off_.Nearest(plans);
  std::vector<Prediction> predictions;
  for (size_t i = 0; i < plans.size(); ++i) {
    const double sum = FlooredSum(plans[i]);
    const double off =
        std::pow(kBeliefPerChange, nearest[i].changes) * nearest[i].value;
    predictions.push_back({std::log(sum) + off, 0});
  }
  return predictions;
}

double DivergenceModel::Prediction::Optimistic(double sds) const {
  return std::max(0.0, std::exp(log_mean - sds * log_sd) - kFloor);
}

void DivergenceModel::Visit(StateArchive& archive) {
  archive(parameters_);
  archive(off_);
  archive(is_trusted_);
  archive(judged_rows_);
  if (archive.is_reading() && archive.is_sound()) FillTable();
}

}  // namespace lathe
