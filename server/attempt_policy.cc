#include "server/attempt_policy.h"

#include <set>

namespace lathe {
namespace {

bool IsMachineFailure(v1::OutcomeKind kind) {
  return kind == v1::TRANSIENT || kind == v1::OUT_OF_MEMORY ||
         kind == v1::TIMEOUT || kind == v1::CRASH || kind == v1::NOISY;
}

// How often, and from how many workers, something was reported.
struct Reports {
  int count = 0;
  int workers = 0;
};

template <typename Predicate>
Reports CountReports(const EndingAttempt& ending,
                     absl::Span<const EndedAttempt> earlier,
                     Predicate predicate) {
  std::set<absl::string_view> sessions = {ending.session};
  Reports reports{1, 1};
  for (const EndedAttempt& attempt : earlier) {
    if (!predicate(attempt.kind)) continue;
    ++reports.count;
    sessions.insert(attempt.session);
  }
  reports.workers = static_cast<int>(sessions.size());
  return reports;
}

bool IsConfirmed(const Reports& reports, int needed, int active_workers) {
  if (reports.count < needed) return false;
  return reports.workers >= 2 || active_workers <= 1 ||
         reports.count >= 2 * needed;
}

}  // namespace

v1::TrialState NextTrialState(const EndingAttempt& ending,
                              absl::Span<const EndedAttempt> earlier,
                              int active_workers) {
  if (ending.kind == v1::MEASURED) return v1::TRIAL_MEASURED;
  if (ending.kind == v1::INFEASIBLE) return v1::TRIAL_INFEASIBLE;
  if (ending.kind == v1::BAD_INPUT) {
    const Reports reports = CountReports(
        ending, earlier,
        [](v1::OutcomeKind kind) { return kind == v1::BAD_INPUT; });
    return IsConfirmed(reports, /*needed=*/2, active_workers)
               ? v1::TRIAL_FAILED
               : v1::TRIAL_PENDING;
  }
  if (ending.kind == v1::NOISY && ending.has_measurement) {
    for (const EndedAttempt& attempt : earlier) {
      if (attempt.kind == v1::NOISY) return v1::TRIAL_MEASURED;
    }
    return v1::TRIAL_PENDING;
  }
  const Reports reports = CountReports(ending, earlier, IsMachineFailure);
  return IsConfirmed(reports, /*needed=*/3, active_workers)
             ? v1::TRIAL_QUARANTINED
             : v1::TRIAL_PENDING;
}

}  // namespace lathe
