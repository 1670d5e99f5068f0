#include "agent/finalists.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "agent/archive.h"
#include "agent/objective.h"
#include "agent/plan_outlook.h"
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

std::vector<double> EvenBudgets(bool counts, int cells) {
  if (!counts) return {std::numeric_limits<double>::infinity()};
  std::vector<double> budgets;
  for (int i = 1; i <= cells; ++i) {
    budgets.push_back(static_cast<double>(i) / cells);
  }
  return budgets;
}

}  // namespace

Finalists::Finalists(v1::Measurement baseline,
                     absl::Span<const std::string> objectives)
    : baseline_(std::move(baseline)) {
  for (const std::string& objective : objectives) {
    has_latency_ = has_latency_ || objective == "latency";
    has_size_ = has_size_ || objective == "size";
  }
}

Finalists::Row Finalists::RowOf(const v1::Trial& trial) const {
  const v1::Measurement& m = trial.measurement();
  Row row;
  row.number = trial.number();
  row.plan_digest = trial.plan_digest();
  row.divergence = std::max(0.0, m.kl_divergence());
  row.accuracy_ratio =
      baseline_.accuracy() > 0 ? m.accuracy() / baseline_.accuracy() : 0;
  row.latency_ratio = LatencyRatio(m, baseline_);
  row.size_ratio = SizeRatio(m, baseline_);
  row.is_beaten = m.early_stop().beaten_by() > 0;
  return row;
}

void Finalists::Add(const v1::Trial& trial) {
  if (IsSecondMeasurement(trial)) promoted_.insert(trial.plan_digest());
  if (trial.state() != v1::TRIAL_MEASURED ||
      !known_.insert(trial.number()).second) {
    return;
  }
  if (!IsMeasuredWhole(trial)) {
    looks_.push_back(RowOf(trial));
    return;
  }
  wholes_.push_back(RowOf(trial));
  measured_.insert(trial.plan_digest());
}

bool Finalists::IsOneDue() const {
  size_t wanted = 0;
  for (size_t looks = looks_.size(); looks >= kLooksBeforeFirst; looks /= 2) {
    ++wanted;
  }
  return promoted_.size() < wanted;
}

AccuracyCurve Finalists::FitCurve() const {
  std::vector<Evaluated> evaluated;
  for (const std::vector<Row>* rows : {&wholes_, &looks_}) {
    for (const Row& row : *rows) {
      Evaluated& point = evaluated.emplace_back();
      point.divergence = row.divergence;
      point.accuracy_ratio = row.accuracy_ratio;
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
    grid.Add(WorthOf(curve, row.divergence), row.latency_ratio, row.size_ratio);
  }
  return grid;
}

std::vector<const Finalists::Row*> Finalists::Candidates() const {
  std::vector<const Row*> candidates;
  for (const Row& row : looks_) {
    if (!row.is_beaten && promoted_.count(row.plan_digest) == 0 &&
        measured_.count(row.plan_digest) == 0) {
      candidates.push_back(&row);
    }
  }
  return candidates;
}

double Finalists::LeastWorth(const AccuracyCurve& curve) const {
  const auto counts = [&curve](const Row& row) {
    return row.number > 0 &&
           WorthOf(curve, row.divergence) > kLeastAccuracyRatio;
  };
  const bool any_counts = std::any_of(looks_.begin(), looks_.end(), counts) ||
                          std::any_of(wholes_.begin(), wholes_.end(), counts);
  return any_counts ? kLeastAccuracyRatio : 0;
}

std::vector<int64_t> Finalists::Choose() const {
  const AccuracyCurve curve = FitCurve();
  const double least_worth = LeastWorth(curve);
  BudgetGrid grid = MakeGrid(curve, least_worth);
  std::vector<const Row*> candidates = Candidates();
  const double least_gain = kLeastGain * (1 - least_worth);
  std::vector<int64_t> chosen;
  for (;;) {
    const Row* best = nullptr;
    double best_gain = 0;
    const auto gains_little = [&](const Row* row) {
      const double gain = grid.Gain(WorthOf(curve, row->divergence),
                                    row->latency_ratio, row->size_ratio);
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
    if (best_gain < least_gain) return chosen;
    chosen.push_back(best->number);
    grid.Add(WorthOf(curve, best->divergence), best->latency_ratio,
             best->size_ratio);
  }
}

}  // namespace lathe
