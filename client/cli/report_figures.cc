#include "client/cli/report_figures.h"

#include <algorithm>
#include <set>
#include <utility>

#include "proto/fidelity.h"
#include "proto/hypervolume.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Trials measured whole, in the order of learning.
std::vector<const v1::Trial*> InLearningOrder(
    absl::Span<const v1::Trial> trials) {
  std::vector<const v1::Trial*> ordered;
  for (const v1::Trial& trial : trials) {
    if (IsMeasuredWhole(trial)) ordered.push_back(&trial);
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

std::map<int64_t, double> GainByTrial(absl::Span<const v1::Trial> trials,
                                      const v1::Measurement& baseline) {
  std::map<int64_t, double> gains;
  double before = 0;
  for (const CurvePoint& point : HypervolumeOverTrials(trials, baseline)) {
    gains[point.trial] = point.hypervolume - before;
    before = point.hypervolume;
  }
  return gains;
}

double ThinkingRatio(absl::Span<const v1::Trial> trials) {
  double thought = 0;
  double evaluated = 0;
  for (const v1::Trial& trial : trials) {
    if (trial.number() == 0 || !trial.reused_from().empty()) continue;
    thought += trial.proposal().thinking_seconds();
    evaluated += trial.measurement().evaluation_seconds();
  }
  return evaluated > 0 ? thought / evaluated : 0;
}

std::map<std::string, ProposerShare> ProposerShares(
    absl::Span<const v1::Trial> trials, const v1::Frontier& frontier) {
  const std::map<int64_t, double> gains =
      GainByTrial(trials, frontier.baseline().measurement());
  std::set<int64_t> members;
  for (const v1::Trial& trial : frontier.trials()) {
    members.insert(trial.number());
  }
  std::map<std::string, ProposerShare> shares;
  std::map<std::string, int64_t> rewarded;
  for (const v1::Trial& trial : trials) {
    const std::string proposer(ProposerOf(trial));
    ProposerShare& share = shares[proposer];
    share.trials += IsSecondMeasurement(trial) ? 0 : 1;
    share.on_frontier += members.count(trial.number());
    const auto gain = gains.find(trial.number());
    if (gain != gains.end()) share.gain += gain->second;
    if (!trial.has_reward() || IsSecondMeasurement(trial)) continue;
    ++rewarded[proposer];
    share.mean_reward += trial.reward().value();
    for (const auto& [name, value] : trial.reward().components()) {
      share.mean_components[name] += value;
    }
  }
  double gained = 0;
  for (const auto& [source, share] : shares) gained += share.gain;
  for (auto& [source, share] : shares) {
    if (gained > 0) share.gain_ratio = share.gain / gained;
    const double count = std::max<int64_t>(1, rewarded[source]);
    share.mean_reward /= count;
    for (auto& [name, value] : share.mean_components) value /= count;
  }
  return shares;
}

}  // namespace lathe
