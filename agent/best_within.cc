#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "agent/frontier.h"
#include "agent/objective.h"

namespace lathe {
namespace {

// How a trial stands against the bounds.
struct Standing {
  // Sum of the shares by which bounds are missed; 0 means all are met.
  double excess = 0;
  std::vector<std::string> reasons;
};

// Notes that `value` is above `bound`, if it is.
void RequireAtMost(const std::string& what, double value, double bound,
                   Standing* standing) {
  if (value <= bound) return;
  const double share = bound > 0 ? value / bound - 1 : value;
  standing->excess += share;
  standing->reasons.push_back(absl::StrFormat("%s %.6g is %.1f %% above %.6g",
                                              what, value, 100 * share, bound));
}

void RequireAtLeast(const std::string& what, double value, double bound,
                    Standing* standing) {
  if (value >= bound) return;
  const double share = bound - value;
  standing->excess += share;
  standing->reasons.push_back(
      absl::StrFormat("%s %.4f is %.4f below %.4f", what, value, share, bound));
}

Standing Stand(const v1::Measurement& m, const v1::Measurement& baseline,
               const v1::GetBestConfigurationRequest& bounds) {
  Standing standing;
  if (bounds.has_max_latency_us()) {
    RequireAtMost("latency_us", m.latency_us(), bounds.max_latency_us(),
                  &standing);
  }
  if (bounds.has_max_latency_ratio()) {
    RequireAtMost("latency_ratio",
                  bounds.is_confident()
                      ? std::max(m.latency_ratio(), m.latency_ratio_high())
                      : m.latency_ratio(),
                  bounds.max_latency_ratio(), &standing);
  }
  if (bounds.has_max_size_bytes()) {
    RequireAtMost("size_bytes", static_cast<double>(MeasuredBytes(m)),
                  static_cast<double>(bounds.max_size_bytes()), &standing);
  }
  if (bounds.has_max_size_ratio()) {
    RequireAtMost("size_ratio", SizeRatio(m, baseline), bounds.max_size_ratio(),
                  &standing);
  }
  if (bounds.has_min_accuracy()) {
    const double least = bounds.min_accuracy() < 0
                             ? baseline.accuracy() + bounds.min_accuracy()
                             : bounds.min_accuracy();
    RequireAtLeast("accuracy",
                   bounds.is_confident()
                       ? std::min(m.accuracy(), m.accuracy_low())
                       : m.accuracy(),
                   least, &standing);
  }
  return standing;
}

// Most accurate, then fastest, then first.
bool IsBetter(const v1::Trial& a, const v1::Trial& b) {
  const v1::Measurement& first = a.measurement();
  const v1::Measurement& second = b.measurement();
  if (first.accuracy() != second.accuracy()) {
    return first.accuracy() > second.accuracy();
  }
  if (first.latency_ratio() != second.latency_ratio()) {
    return first.latency_ratio() < second.latency_ratio();
  }
  return a.number() < b.number();
}

}  // namespace

v1::BestConfiguration BestWithin(
    absl::Span<const v1::Trial> trials, const v1::Measurement& baseline,
    const v1::GetBestConfigurationRequest& bounds) {
  constexpr size_t kMostMisses = 3;
  const v1::Trial* best = nullptr;
  std::vector<std::pair<Standing, const v1::Trial*>> misses;
  for (const v1::Trial& trial : trials) {
    if (trial.state() != v1::TRIAL_MEASURED) continue;
    Standing standing = Stand(trial.measurement(), baseline, bounds);
    if (standing.reasons.empty()) {
      if (best == nullptr || IsBetter(trial, *best)) best = &trial;
    } else {
      misses.emplace_back(std::move(standing), &trial);
    }
  }
  v1::BestConfiguration answer;
  if (best != nullptr) {
    *answer.mutable_trial() = *best;
    return answer;
  }
  std::stable_sort(misses.begin(), misses.end(),
                   [](const auto& a, const auto& b) {
                     if (a.first.excess != b.first.excess) {
                       return a.first.excess < b.first.excess;
                     }
                     return IsBetter(*a.second, *b.second);
                   });
  misses.resize(std::min(misses.size(), kMostMisses));
  for (const auto& [standing, trial] : misses) {
    v1::NearMiss* miss = answer.add_near_misses();
    *miss->mutable_trial() = *trial;
    miss->set_why_not(absl::StrJoin(standing.reasons, "; "));
  }
  return answer;
}

}  // namespace lathe
