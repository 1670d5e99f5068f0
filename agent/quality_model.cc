#include "agent/quality_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "agent/objective.h"

namespace lathe {
namespace {

// Damage is not told apart below this: about what two samples in a thousand
// that change their answer are worth.
constexpr double kDamageFloor = 0.001;

// Error of the difference between two similar plans, as a share of their
// damage.
constexpr double kPairError = 0.05;

// Ridge penalties, in units of squared relative errors. The first is the best
// of 1, 10 and 60 on six synthetic networks, which differ little: a parameter
// of one layer is believed to be small, a shared one costs less.
constexpr double kLayerPenalty = 1;
constexpr double kSharedPenalty = 0.2;

// Near the least quality the logarithm grows without bound and says nothing,
// so that it is cut there.
constexpr double kMostDamageShare = 0.98;

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

// The earlier row whose plan differs in the fewest decisions; nothing when all
// differ in more than kMostDifferences.
std::optional<size_t> NearestBefore(const std::vector<Evaluated>& rows,
                                    size_t index) {
  constexpr int kMostDifferences = 4;
  std::optional<size_t> nearest;
  int least = kMostDifferences + 1;
  for (size_t i = 0; i < index; ++i) {
    int differences = 0;
    for (size_t d = 0; d < rows[i].choices.size() && differences < least; ++d) {
      differences += rows[i].choices[d] != rows[index].choices[d];
    }
    if (differences < least) {
      least = differences;
      nearest = i;
    }
  }
  return nearest;
}

// Greater for coarser numbers.
double Harshness(const v1::PrecisionOption& option) {
  return option.precision() * 100.0 - option.weight_bits();
}

}  // namespace

double QualityModel::DamageOf(double quality) const {
  const double share = quality / Objective::kLeastQuality;
  const double effect = -std::log1p(-std::clamp(share, 0.0, kMostDamageShare));
  return std::pow(effect, 1 / exponent_);
}

double QualityModel::QualityOf(double damage) const {
  return -Objective::kLeastQuality * std::expm1(-std::pow(damage, exponent_));
}

void QualityModel::FitExponent(const std::vector<Evaluated>& rows) {
  // Damages below this say more of noise than of how losses combine.
  constexpr double kLeastDamage = 0.003;
  constexpr double kStep = 0.3;
  // Least squares of log measured on log predicted damage: the slope is by how
  // much the exponent is off.
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const Evaluated& row : rows) {
    const double predicted = Damage(row.choices, 0);
    const double measured = DamageOf(row.quality);
    if (predicted < kLeastDamage || measured < kLeastDamage) continue;
    const double x = std::log(predicted);
    const double y = std::log(measured);
    n += 1;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const double spread = n * sxx - sx * sx;
  if (n < 8 || spread < 1) return;
  const double slope = (n * sxy - sx * sy) / spread;
  exponent_ = std::clamp(exponent_ * (1 + kStep * (slope - 1)), 0.7, 1.6);
}

QualityModel::QualityModel(const DecisionSpace* space) : space_(*space) {
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
  const size_t parameters = shared_count_ + features_.size();
  parameters_.assign(kMembers, std::vector<double>(parameters, 0));
  damage_.resize(kMembers);
  for (int member = 0; member < kMembers; ++member) FillTable(member);
}

std::vector<float> QualityModel::FeaturesOf(
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

void QualityModel::FitMember(const std::vector<std::vector<float>>& columns,
                             const std::vector<double>& targets,
                             const std::vector<double>& weights,
                             std::vector<double>* parameters) const {
  // Starting from the last fit, few sweeps suffice.
  constexpr int kSweeps = 12;
  const size_t rows = targets.size();
  std::vector<double> residual = targets;
  for (size_t p = 0; p < columns.size(); ++p) {
    if ((*parameters)[p] == 0) continue;
    for (size_t i = 0; i < rows; ++i) {
      residual[i] -= (*parameters)[p] * columns[p][i];
    }
  }
  std::vector<double> curvature(columns.size());
  for (size_t p = 0; p < columns.size(); ++p) {
    double sum = 0;
    for (size_t i = 0; i < rows; ++i) {
      sum += weights[i] * columns[p][i] * columns[p][i];
    }
    curvature[p] = sum;
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t p = 0; p < columns.size(); ++p) {
      if (curvature[p] == 0) continue;
      const bool is_shared = static_cast<int>(p) < shared_count_;
      const double penalty = is_shared ? kSharedPenalty : kLayerPenalty;
      double slope = 0;
      for (size_t i = 0; i < rows; ++i) {
        slope += weights[i] * columns[p][i] * residual[i];
      }
      const double old = (*parameters)[p];
      const double now = std::max(
          0.0, (slope + curvature[p] * old) / (curvature[p] + penalty));
      if (now == old) continue;
      for (size_t i = 0; i < rows; ++i) {
        residual[i] -= (now - old) * columns[p][i];
      }
      (*parameters)[p] = now;
    }
  }
}

void QualityModel::Fit(const std::vector<Evaluated>& rows, Random* random) {
  std::vector<std::vector<float>> columns(parameters_[0].size());
  std::vector<double> targets;
  std::vector<double> weights;
  const auto add = [&](const std::vector<float>& features, double target,
                       double error) {
    for (size_t p = 0; p < features.size(); ++p) {
      columns[p].push_back(features[p]);
    }
    targets.push_back(target);
    weights.push_back(1 / (error * error));
  };
  std::vector<std::vector<float>> features;
  for (size_t i = 0; i < rows.size(); ++i) {
    features.push_back(FeaturesOf(rows[i].choices));
    const double damage = DamageOf(rows[i].quality);
    add(features[i], damage, damage + kDamageFloor);
    const std::optional<size_t> near = NearestBefore(rows, i);
    if (!near.has_value()) continue;
    // Two plans that differ little say precisely what the difference costs:
    // what the model gets wrong elsewhere cancels.
    const double difference = damage - DamageOf(rows[*near].quality);
    std::vector<float> between = features[i];
    for (size_t p = 0; p < between.size(); ++p) {
      between[p] -= features[*near][p];
    }
    add(between, difference,
        std::abs(difference) + kPairError * damage + kDamageFloor);
  }
  for (int member = 0; member < kMembers; ++member) {
    std::vector<double> drawn = weights;
    if (member > 0) {
      for (double& weight : drawn) weight *= random->Exponential();
    }
    FitMember(columns, targets, drawn, &parameters_[member]);
    FillTable(member);
  }
  FitExponent(rows);
  fitted_.clear();
  log_residuals_.clear();
  for (const Evaluated& row : rows) {
    fitted_.push_back(row.choices);
    log_residuals_.push_back(std::log((DamageOf(row.quality) + kDamageFloor) /
                                      (Damage(row.choices, 0) + kDamageFloor)));
  }
}

void QualityModel::FillTable(int member) {
  const std::vector<double>& parameters = parameters_[member];
  auto& table = damage_[member];
  table.clear();
  for (const Decision& decision : space_.decisions()) {
    const int d = static_cast<int>(table.size());
    table.emplace_back(decision.count, 0.0);
    for (int c = 0; c < decision.count; ++c) {
      double& damage = table.back()[c];
      if (decision.is_keep) {
        const double lost = 1 - space_.groups()[decision.group].keep_ratios[c];
        damage += parameters[shared_options_] * lost +
                  parameters[shared_options_ + 1] * lost * lost;
      } else {
        for (int r = 0; r < shared_rank_[d][c]; ++r) damage += parameters[r];
      }
    }
  }
  for (size_t f = 0; f < features_.size(); ++f) {
    const int d = features_[f].decision;
    for (size_t c = 0; c < table[d].size(); ++c) {
      if (rank_[d][c] >= features_[f].rank) {
        table[d][c] += parameters[shared_count_ + f];
      }
    }
  }
}

double QualityModel::Quality(absl::Span<const int> choices, int member) const {
  // Plans that differ in this share of their decisions still say something of
  // each other; a far one counts little against "not off".
  constexpr double kReach = 0.08;
  constexpr double kPriorWeight = 0.05;
  const double reach =
      std::max(1.0, kReach * static_cast<double>(choices.size()));
  double sum = 0;
  double weights = kPriorWeight;
  for (size_t i = 0; i < fitted_.size(); ++i) {
    int differences = 0;
    for (size_t d = 0; d < choices.size(); ++d) {
      differences += fitted_[i][d] != choices[d];
    }
    const double weight = std::exp(-differences / reach);
    sum += weight * log_residuals_[i];
    weights += weight;
  }
  return QualityOf(Damage(choices, member) * std::exp(sum / weights));
}

double QualityModel::Damage(absl::Span<const int> choices, int member) const {
  double damage = 0;
  for (size_t d = 0; d < choices.size(); ++d) {
    damage += damage_[member][d][choices[d]];
  }
  return damage;
}

}  // namespace lathe
