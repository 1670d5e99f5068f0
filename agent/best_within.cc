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
#include "proto/confirmation.h"
#include "proto/plan.h"

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

// Whether the bounds on latency and size are the budget's, and there are any.
bool AsksForBudget(const v1::GetBestConfigurationRequest& bounds,
                   const v1::Budget& budget) {
  const auto are_equal = [](bool has_first, double first, bool has_second,
                            double second) {
    return has_first == has_second && (!has_first || first == second);
  };
  const bool has_any =
      budget.has_max_latency_us() || budget.has_max_latency_ratio() ||
      budget.has_max_size_bytes() || budget.has_max_size_ratio();
  return has_any &&
         are_equal(bounds.has_max_latency_us(), bounds.max_latency_us(),
                   budget.has_max_latency_us(), budget.max_latency_us()) &&
         are_equal(bounds.has_max_latency_ratio(), bounds.max_latency_ratio(),
                   budget.has_max_latency_ratio(),
                   budget.max_latency_ratio()) &&
         are_equal(bounds.has_max_size_bytes(),
                   static_cast<double>(bounds.max_size_bytes()),
                   budget.has_max_size_bytes(),
                   static_cast<double>(budget.max_size_bytes())) &&
         are_equal(bounds.has_max_size_ratio(), bounds.max_size_ratio(),
                   budget.has_max_size_ratio(), budget.max_size_ratio());
}

std::string LeadText(const v1::PairedDifference& lead) {
  return absl::StrFormat(
      "%+.2f points (%+.2f to %+.2f) on %d confirmation samples",
      100 * lead.mean(), 100 * lead.low(), 100 * lead.high(), lead.samples());
}

bool CostsNoMore(const v1::Measurement& a, const v1::Measurement& b) {
  return a.latency_ratio() <= b.latency_ratio() &&
         a.size_bytes() <= b.size_bytes();
}

// Who of the most accurate trial and the solver's answer is the answer.
void Decide(const v1::Trial& best, const v1::Trial& solvers,
            v1::BestConfiguration* answer) {
  *answer->mutable_solvers_answer() = solvers;
  if (best.number() == solvers.number()) {
    *answer->mutable_trial() = solvers;
    answer->set_reason(
        "the solver's answer, and the most accurate within the bounds");
    return;
  }
  *answer->mutable_challenger() = best;
  const std::optional<v1::PairedDifference> lead =
      LeadOf(best.measurement(), solvers.measurement());
  if (!lead.has_value()) {
    *answer->mutable_trial() = best;
    answer->set_reason(absl::StrCat(
        "the most accurate within the bounds; no confirmation split says "
        "whether it is better than the solver's answer, trial ",
        solvers.number()));
    return;
  }
  *answer->mutable_lead() = *lead;
  if (lead->low() > 0) {
    *answer->mutable_trial() = best;
    answer->set_reason(
        absl::StrCat("more accurate than the solver's answer, trial ",
                     solvers.number(), ": ", LeadText(*lead)));
    return;
  }
  if (CostsNoMore(best.measurement(), solvers.measurement()) &&
      lead->mean() >= 0) {
    *answer->mutable_trial() = best;
    answer->set_reason(absl::StrCat(
        "neither slower, larger nor less accurate than the solver's answer, "
        "trial ",
        solvers.number(), ": ", LeadText(*lead)));
    return;
  }
  *answer->mutable_trial() = solvers;
  answer->set_reason(absl::StrCat(
      "the solver's answer; trial ", best.number(),
      ", the most accurate on the search split, is not surely better: ",
      LeadText(*lead)));
}

}  // namespace

v1::BestConfiguration BestWithin(absl::Span<const v1::Trial> trials,
                                 const v1::Measurement& baseline,
                                 const v1::GetBestConfigurationRequest& bounds,
                                 const v1::Budget& asked) {
  constexpr size_t kMostMisses = 3;
  const bool has_solver = AsksForBudget(bounds, asked);
  const v1::Trial* best = nullptr;
  const v1::Trial* solvers = nullptr;
  std::vector<std::pair<Standing, const v1::Trial*>> misses;
  for (const v1::Trial& trial : trials) {
    if (!IsMeasuredWhole(trial)) continue;
    Standing standing = Stand(trial.measurement(), baseline, bounds);
    if (standing.reasons.empty()) {
      if (best == nullptr || IsBetter(trial, *best)) best = &trial;
      if (has_solver && IsSolversAnswer(trial) &&
          (solvers == nullptr || IsBetter(trial, *solvers))) {
        solvers = &trial;
      }
    } else {
      misses.emplace_back(std::move(standing), &trial);
    }
  }
  v1::BestConfiguration answer;
  if (solvers != nullptr) {
    Decide(*best, *solvers, &answer);
    return answer;
  }
  if (best != nullptr) {
    *answer.mutable_trial() = *best;
    answer.set_reason("the most accurate within the bounds");
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
