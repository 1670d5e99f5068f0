#include "agent/finalists.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "agent/archive.h"
#include "agent/objective.h"
#include "agent/plan_outlook.h"
#include "base/status.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Where the hypervolume's box begins.
constexpr double kLeastAccuracyRatio = 0.8;

// Budgets along an axis: alone, and where there are two.
constexpr int kCellsAlone = 512;
constexpr int kCellsEach = 64;

constexpr size_t kLooksBeforeFirst = 4;

double WorthFrom(const AccuracyCurve& curve, double divergence) {
  return WorthOf(curve, std::max(divergence, kNothingToGain));
}

std::vector<double> EvenBudgets(bool counts, int cells) {
  if (!counts) return {std::numeric_limits<double>::infinity()};
  std::vector<double> budgets;
  for (int i = 1; i <= cells; ++i) {
    budgets.push_back(static_cast<double>(i) / cells);
  }
  return budgets;
}

}  // namespace

Finalists::Finalists(DecisionSpace space, const v1::LatencyTable& latency_table,
                     const v1::Measurement& baseline)
    : space_(std::move(space)),
      baseline_(baseline),
      costs_(&space_, latency_table, baseline_) {}

absl::StatusOr<std::unique_ptr<Finalists>> Finalists::Make(
    const v1::SearchSpace& space, const v1::LatencyTable& latency_table,
    const v1::Measurement& baseline, absl::Span<const std::string> objectives) {
  LATHE_ASSIGN_OR_RETURN(DecisionSpace decisions, DecisionSpace::Make(space));
  auto finalists = absl::WrapUnique(
      new Finalists(std::move(decisions), latency_table, baseline));
  for (const std::string& objective : objectives) {
    finalists->has_latency_ |= objective == "latency";
    finalists->has_size_ |= objective == "size";
  }
  return finalists;
}

std::optional<double> Finalists::PredictedLatencyRatio(
    const v1::CompressionPlan& plan) const {
  const std::optional<Choices> choices = space_.FromPlan(plan);
  if (!choices.has_value()) return std::nullopt;
  return costs_.LatencyUs(*choices) / costs_.baseline_us();
}

Finalists::Row Finalists::RowOf(const v1::Trial& trial) const {
  const v1::Measurement& m = trial.measurement();
  Row row;
  row.number = trial.number();
  row.plan_digest = trial.plan_digest();
  row.divergence = std::max(0.0, m.kl_divergence());
  row.accuracy_ratio =
      baseline_.accuracy() > 0 ? m.accuracy() / baseline_.accuracy() : 0;
  row.weight = SampleShare(m, baseline_);
  row.latency_ratio = LatencyRatio(m, baseline_);
  row.size_ratio = SizeRatio(m, baseline_);
  return row;
}

double Finalists::LatencyRatioOf(const Row& row) const {
  if (row.choices.empty()) return row.latency_ratio;
  const double predicted = costs_.LatencyUs(row.choices) / costs_.baseline_us();
  return row.is_whole ? std::sqrt(row.latency_ratio * predicted) : predicted;
}

void Finalists::Add(const v1::Trial& trial) {
  if (IsSecondMeasurement(trial)) promoted_.insert(trial.plan_digest());
  if (trial.state() != v1::TRIAL_MEASURED ||
      !known_.insert(trial.number()).second) {
    return;
  }
  std::optional<Choices> choices = space_.FromPlan(trial.proposal().plan());
  Row row = RowOf(trial);
  row.is_whole = IsMeasuredWhole(trial);
  if (choices.has_value() && row.is_whole) {
    costs_.Observe(*choices, trial.measurement());
  }
  if (choices.has_value()) row.choices = *std::move(choices);
  if (!row.is_whole) {
    looks_.push_back(std::move(row));
    return;
  }
  wholes_.push_back(std::move(row));
  measured_.insert(trial.plan_digest());
}

size_t Finalists::Doublings() const {
  size_t doublings = 0;
  for (size_t looks = looks_.size(); looks >= kLooksBeforeFirst; looks /= 2) {
    ++doublings;
  }
  return doublings;
}

bool Finalists::IsOneDue() const { return promoted_.size() < Doublings(); }

int64_t Finalists::Room() const {
  const size_t most = std::max({size_t{kLeastWhole}, 2 * Doublings(),
                                looks_.size() / size_t{kLooksPerWhole}});
  return static_cast<int64_t>(most - std::min(most, promoted_.size()));
}

AccuracyCurve Finalists::FitCurve() const {
  std::vector<Evaluated> evaluated;
  for (const std::vector<Row>* rows : {&wholes_, &looks_}) {
    for (const Row& row : *rows) {
      Evaluated& point = evaluated.emplace_back();
      point.divergence = row.divergence;
      point.accuracy_ratio = row.accuracy_ratio;
      point.weight = row.weight;
    }
  }
  AccuracyCurve curve;
  curve.Fit(evaluated);
  return curve;
}

BudgetGrid Finalists::MakeGrid(const AccuracyCurve& curve,
                               double least_worth) const {
  const int cells = has_latency_ && has_size_ ? kCellsEach : kCellsAlone;
  BudgetGrid grid(EvenBudgets(has_latency_, cells),
                  EvenBudgets(has_size_, cells), least_worth);
  for (const Row& row : wholes_) {
    grid.Add(WorthFrom(curve, row.divergence), LatencyRatioOf(row),
             row.size_ratio);
  }
  return grid;
}

std::vector<Finalists::Row> Finalists::Candidates() const {
  std::vector<Row> candidates;
  for (const Row& look : looks_) {
    if (promoted_.count(look.plan_digest) > 0 ||
        measured_.count(look.plan_digest) > 0) {
      continue;
    }
    candidates.emplace_back(look).latency_ratio = LatencyRatioOf(look);
  }
  return candidates;
}

double Finalists::LeastWorth(const AccuracyCurve& curve) const {
  const auto counts = [&curve](const Row& row) {
    return row.number > 0 &&
           WorthFrom(curve, row.divergence) > kLeastAccuracyRatio;
  };
  const bool any_counts = std::any_of(looks_.begin(), looks_.end(), counts) ||
                          std::any_of(wholes_.begin(), wholes_.end(), counts);
  return any_counts ? kLeastAccuracyRatio : 0;
}

std::vector<int64_t> Finalists::Choose() const {
  const AccuracyCurve curve = FitCurve();
  const double least_worth = LeastWorth(curve);
  BudgetGrid grid = MakeGrid(curve, least_worth);
  std::vector<Row> candidates = Candidates();
  const double least_gain = kLeastGain * (1 - least_worth);
  const auto room = static_cast<size_t>(Room());
  std::vector<int64_t> chosen;
  while (chosen.size() < room) {
    Row best;
    double best_gain = 0;
    const auto gains_little = [&](const Row& row) {
      const double gain = grid.Gain(WorthFrom(curve, row.divergence),
                                    row.latency_ratio, row.size_ratio);
      if (gain > best_gain) {
        best_gain = gain;
        best = row;
      }
      return gain < least_gain;
    };
    // The more is chosen, the less any of the others gains.
    candidates.erase(
        std::remove_if(candidates.begin(), candidates.end(), gains_little),
        candidates.end());
    if (best_gain < least_gain) break;
    chosen.push_back(best.number);
    grid.Add(WorthFrom(curve, best.divergence), best.latency_ratio,
             best.size_ratio);
  }
  return chosen;
}

}  // namespace lathe
