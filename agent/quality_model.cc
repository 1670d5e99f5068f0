#include "agent/quality_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "agent/objective.h"

namespace lathe {
namespace {

// Damage is not told apart below this: about what 1 in 500 samples is worth.
constexpr double kDamageFloor = 0.005;

// Ridge penalties, in units of squared relative errors: a parameter of one
// layer is believed to be small against the floor-scaled targets, a shared
// one is nearly free.
constexpr double kLayerPenalty = 3;
constexpr double kSharedPenalty = 0.01;

// Half the damage that a whole quality stands for is never reached, so the
// logarithm is cut there.
constexpr double kMostDamageShare = 0.98;

constexpr int kSharedKeep = 2;  // Channels lost, and their square.

// Places of the numbers in ascending order; equal ones share a place.
std::vector<int> Ranks(const std::vector<double>& harshness) {
  std::vector<double> sorted = harshness;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<int> ranks;
  for (const double value : harshness) {
    ranks.push_back(static_cast<int>(
        std::lower_bound(sorted.begin(), sorted.end(), value) -
        sorted.begin()));
  }
  return ranks;
}

// Greater for coarser numbers.
double Harshness(const v1::PrecisionOption& option) {
  return option.precision() * 100.0 - option.weight_bits();
}

}  // namespace

double QualityModel::DamageOf(double quality) {
  const double share = quality / Objective::kLeastQuality;
  return -std::log1p(-std::clamp(share, 0.0, kMostDamageShare));
}

double QualityModel::QualityOf(double damage) {
  return -Objective::kLeastQuality * std::expm1(-damage);
}

QualityModel::QualityModel(const DecisionSpace* space) : space_(*space) {
  std::vector<double> option_harshness;
  for (const Decision& decision : space_.decisions()) {
    std::vector<double> harshness;
    for (int c = 0; c < decision.count; ++c) {
      harshness.push_back(
          decision.is_keep
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
      const double penalty = (is_shared ? kSharedPenalty : kLayerPenalty) /
                             (kDamageFloor * 10);
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
  std::vector<std::vector<float>> columns(
      parameters_[0].size(), std::vector<float>(rows.size()));
  std::vector<double> targets;
  std::vector<double> weights;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> features = FeaturesOf(rows[i].choices);
    for (size_t p = 0; p < features.size(); ++p) columns[p][i] = features[p];
    targets.push_back(DamageOf(rows[i].quality));
    // Relative errors, down to a floor.
    const double scale = targets.back() + 4 * kDamageFloor;
    weights.push_back(1 / (scale * scale));
  }
  for (int member = 0; member < kMembers; ++member) {
    std::vector<double> drawn = weights;
    if (member > 0) {
      for (double& weight : drawn) weight *= random->Exponential();
    }
    FitMember(columns, targets, drawn, &parameters_[member]);
    FillTable(member);
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
        const double lost =
            1 - space_.groups()[decision.group].keep_ratios[c];
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

double QualityModel::Damage(absl::Span<const int> choices, int member) const {
  double damage = 0;
  for (size_t d = 0; d < choices.size(); ++d) {
    damage += damage_[member][d][choices[d]];
  }
  return damage;
}

}  // namespace lathe
