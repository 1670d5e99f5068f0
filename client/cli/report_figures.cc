#include "client/cli/report_figures.h"

#include <algorithm>
#include <set>

namespace lathe {
namespace {

constexpr double kReferenceLatency = 1;
constexpr double kReferenceAccuracy = 0.8;

double AccuracyRatio(const v1::Measurement& m,
                     const v1::Measurement& baseline) {
  const bool is_reported =
      m.report_samples() > 0 && baseline.report_samples() > 0;
  const double accuracy = is_reported ? m.report_accuracy() : m.accuracy();
  const double of_baseline =
      is_reported ? baseline.report_accuracy() : baseline.accuracy();
  return of_baseline > 0 ? accuracy / of_baseline : 0;
}

// Measured trials, in the order of learning.
std::vector<const v1::Trial*> InLearningOrder(
    absl::Span<const v1::Trial> trials) {
  std::vector<const v1::Trial*> ordered;
  for (const v1::Trial& trial : trials) {
    if (trial.state() == v1::TRIAL_MEASURED) ordered.push_back(&trial);
  }
  const auto key = [](const v1::Trial* trial) {
    const bool is_learned = trial->learn_sequence() > 0;
    return std::make_pair(
        !is_learned, is_learned ? trial->learn_sequence() : trial->number());
  };
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&key](const v1::Trial* a, const v1::Trial* b) {
                     return key(a) < key(b);
                   });
  return ordered;
}

}  // namespace

void HypervolumeCurve::Add(double latency_ratio, double accuracy_ratio) {
  if (!(latency_ratio < kReferenceLatency) ||
      !(accuracy_ratio > kReferenceAccuracy)) {
    return;
  }
  auto next = staircase_.upper_bound(latency_ratio);
  if (next != staircase_.begin() && std::prev(next)->second >= accuracy_ratio) {
    return;
  }
  while (next != staircase_.end() && next->second <= accuracy_ratio) {
    next = staircase_.erase(next);
  }
  staircase_[latency_ratio] = accuracy_ratio;
}

double HypervolumeCurve::value() const {
  double area = 0;
  double height = kReferenceAccuracy;
  for (const auto& [latency, accuracy] : staircase_) {
    area += (kReferenceLatency - latency) * (accuracy - height);
    height = accuracy;
  }
  return area / (1 - kReferenceAccuracy);
}

std::vector<CurvePoint> HypervolumeOverTrials(
    absl::Span<const v1::Trial> trials, const v1::Measurement& baseline) {
  HypervolumeCurve curve;
  std::vector<CurvePoint> points;
  for (const v1::Trial* trial : InLearningOrder(trials)) {
    curve.Add(trial->measurement().latency_ratio(),
              AccuracyRatio(trial->measurement(), baseline));
    points.push_back({trial->number(), curve.value()});
  }
  return points;
}

double Optimism(const v1::Frontier& frontier) {
  const auto difference = [](const v1::Measurement& m) {
    return m.accuracy() - m.report_accuracy();
  };
  double sum = 0;
  int members = 0;
  for (const v1::Trial& trial : frontier.trials()) {
    if (trial.measurement().report_samples() == 0) continue;
    sum += difference(trial.measurement());
    ++members;
  }
  return members == 0
             ? 0
             : sum / members - difference(frontier.baseline().measurement());
}

std::map<std::string, ProposerShare> ProposerShares(
    absl::Span<const v1::Trial> trials, const v1::Frontier& frontier) {
  std::set<int64_t> members;
  for (const v1::Trial& trial : frontier.trials()) {
    members.insert(trial.number());
  }
  std::map<std::string, ProposerShare> shares;
  std::map<std::string, int64_t> rewarded;
  for (const v1::Trial& trial : trials) {
    ProposerShare& share = shares[trial.proposal().source()];
    ++share.trials;
    share.on_frontier += members.count(trial.number());
    if (!trial.has_reward()) continue;
    ++rewarded[trial.proposal().source()];
    share.mean_reward += trial.reward().value();
    for (const auto& [name, value] : trial.reward().components()) {
      share.mean_components[name] += value;
    }
  }
  for (auto& [source, share] : shares) {
    const double count = std::max<int64_t>(1, rewarded[source]);
    share.mean_reward /= count;
    for (auto& [name, value] : share.mean_components) value /= count;
  }
  return shares;
}

}  // namespace lathe
