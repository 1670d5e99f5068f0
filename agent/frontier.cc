#include "agent/frontier.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "agent/objective.h"
#include "proto/hypervolume.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// A trial's coordinates, all to be minimised.
std::vector<double> Coordinates(const v1::Trial& trial,
                                absl::Span<const std::string> objectives) {
  const v1::Measurement& m = trial.measurement();
  std::vector<double> coordinates = {-m.accuracy()};
  for (const std::string& objective : objectives) {
    if (objective == "latency") coordinates.push_back(m.latency_ratio());
    if (objective == "size") {
      coordinates.push_back(static_cast<double>(MeasuredBytes(m)));
    }
  }
  return coordinates;
}

bool IsAtLeastAsGood(const std::vector<double>& a,
                     const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
  }
  return true;
}

}  // namespace

std::vector<int> ParetoFrontier(absl::Span<const v1::Trial> trials,
                                absl::Span<const std::string> objectives) {
  std::vector<int> measured;
  std::vector<std::vector<double>> coordinates(trials.size());
  for (size_t i = 0; i < trials.size(); ++i) {
    if (!IsMeasuredWhole(trials[i])) continue;
    measured.push_back(static_cast<int>(i));
    coordinates[i] = Coordinates(trials[i], objectives);
  }
  // Lexicographic order puts every trial after all that can dominate it, and
  // equals in the order of their numbers.
  std::sort(measured.begin(), measured.end(), [&](int a, int b) {
    if (coordinates[a] != coordinates[b])
      return coordinates[a] < coordinates[b];
    return trials[a].number() < trials[b].number();
  });
  std::vector<int> frontier;
  for (const int i : measured) {
    const bool is_dominated =
        std::any_of(frontier.begin(), frontier.end(), [&](int member) {
          return IsAtLeastAsGood(coordinates[member], coordinates[i]);
        });
    if (!is_dominated) frontier.push_back(i);
  }
  std::sort(frontier.begin(), frontier.end(), [&](int a, int b) {
    const v1::Measurement& first = trials[a].measurement();
    const v1::Measurement& second = trials[b].measurement();
    if (first.latency_ratio() != second.latency_ratio()) {
      return first.latency_ratio() < second.latency_ratio();
    }
    if (MeasuredBytes(first) != MeasuredBytes(second)) {
      return MeasuredBytes(first) < MeasuredBytes(second);
    }
    return trials[a].number() < trials[b].number();
  });
  return frontier;
}

double Hypervolume(absl::Span<const v1::Trial> trials,
                   const v1::Measurement& baseline) {
  HypervolumeCurve curve;
  for (const v1::Trial& trial : trials) {
    if (!IsMeasuredWhole(trial)) continue;
    curve.Add(trial.measurement().latency_ratio(),
              AccuracyRatio(trial.measurement(), baseline));
  }
  return curve.value();
}

}  // namespace lathe
