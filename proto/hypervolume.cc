#include "proto/hypervolume.h"

#include <iterator>

namespace lathe {
namespace {

constexpr double kReferenceLatency = 1;
constexpr double kReferenceAccuracy = 0.8;

}  // namespace

double AccuracyRatio(const v1::Measurement& m,
                     const v1::Measurement& baseline) {
  const bool is_reported =
      m.report_samples() > 0 && baseline.report_samples() > 0;
  const double accuracy = is_reported ? m.report_accuracy() : m.accuracy();
  const double of_baseline =
      is_reported ? baseline.report_accuracy() : baseline.accuracy();
  return of_baseline > 0 ? accuracy / of_baseline : 0;
}

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

}  // namespace lathe
