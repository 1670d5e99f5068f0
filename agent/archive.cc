#include "agent/archive.h"

#include <algorithm>
#include <utility>

#include "agent/objective.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Measured latencies scatter: a plan that misses its budget by this share is
// still worth building on.
constexpr double kBudgetSlack = 1.03;

bool Dominates(const Evaluated& a, const Evaluated& b,
               const Objective& objective) {
  bool is_better = a.quality > b.quality;
  if (a.quality < b.quality) return false;
  if (objective.has_latency()) {
    if (a.latency_ratio > b.latency_ratio) return false;
    is_better |= a.latency_ratio < b.latency_ratio;
  }
  if (objective.has_size()) {
    if (a.size_ratio > b.size_ratio) return false;
    is_better |= a.size_ratio < b.size_ratio;
  }
  return is_better;
}

bool IsWithin(const Evaluated& row, const RelativeBudget& budget) {
  return row.latency_ratio <=
             budget.latency_ratio.value_or(row.latency_ratio) * kBudgetSlack &&
         row.size_ratio <=
             budget.size_ratio.value_or(row.size_ratio) * kBudgetSlack;
}

}  // namespace

double SampleShare(const v1::Measurement& measurement,
                   const v1::Measurement& baseline) {
  if (measurement.samples() <= 0 || baseline.samples() <= 0) return 1;
  return static_cast<double>(measurement.samples()) /
         static_cast<double>(baseline.samples());
}

Evaluated Evaluate(const SearchCore& core, const v1::Trial& trial,
                   const Choices& choices) {
  Evaluated row;
  row.choices = choices;
  row.is_feasible = trial.state() == v1::TRIAL_MEASURED;
  if (row.is_feasible) {
    const v1::Measurement& baseline = core.context().baseline;
    row.quality = core.objective().Quality(trial.measurement());
    row.divergence = std::max(0.0, trial.measurement().kl_divergence());
    row.accuracy_ratio =
        baseline.accuracy() > 0
            ? trial.measurement().accuracy() / baseline.accuracy()
            : 0;
    row.latency_ratio = LatencyRatio(trial.measurement(), baseline);
    row.size_ratio = SizeRatio(trial.measurement(), baseline);
    row.is_looked_at = !IsMeasuredWhole(trial);
    row.weight = SampleShare(trial.measurement(), baseline);
  } else {
    row.quality = Objective::kLeastQuality;
    row.divergence = kInfeasibleDivergence;
    row.accuracy_ratio = 0;
    row.latency_ratio = core.PredictedLatencyRatio(choices);
    row.size_ratio = core.PredictedSizeRatio(choices);
  }
  return row;
}

Evaluated EvaluatedBaseline(const SearchCore& core) {
  Evaluated row;
  row.choices.assign(core.space().size(), 0);
  row.divergence = std::max(0.0, core.context().baseline.kl_divergence());
  return row;
}

Archive::Archive(const SearchCore* core) : core_(core) {
  Add(EvaluatedBaseline(*core));
}

void Archive::Add(Evaluated row) {
  const auto looked =
      std::find_if(rows_.begin(), rows_.end(), [&row](const Evaluated& known) {
        return known.is_looked_at && known.choices == row.choices;
      });
  if (looked != rows_.end()) {
    *looked = std::move(row);
  } else {
    rows_.push_back(std::move(row));
  }
  FindElites(/*heeds_budget=*/true);
  if (elites_.empty()) FindElites(/*heeds_budget=*/false);
}

void Archive::PredictAnew() {
  for (Evaluated& row : rows_) {
    if (!row.is_looked_at) continue;
    row.latency_ratio = core_->PredictedLatencyRatio(row.choices);
  }
}

void Archive::FindElites(bool heeds_budget) {
  elites_.clear();
  std::vector<int> eligible;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].is_feasible &&
        (!heeds_budget || IsWithin(rows_[i], core_->objective().budget()))) {
      eligible.push_back(static_cast<int>(i));
    }
  }
  for (const int i : eligible) {
    const bool is_dominated =
        std::any_of(eligible.begin(), eligible.end(), [&](int j) {
          return Dominates(rows_[j], rows_[i], core_->objective());
        });
    if (!is_dominated) elites_.push_back(i);
  }
  std::stable_sort(elites_.begin(), elites_.end(), [this](int a, int b) {
    return rows_[a].latency_ratio < rows_[b].latency_ratio;
  });
}

}  // namespace lathe
