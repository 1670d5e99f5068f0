#include "server/worker_registry.h"

#include <algorithm>

#include "server/errors.h"

namespace lathe {
namespace {

// Trials in a row that only this worker failed before it is cordoned.
constexpr int kMostPassedElsewhere = 3;

// The longest of the latest evaluations: one that was slow once counts less
// with every one that was not.
double LongestLately(double longest_seconds, double seconds) {
  constexpr double kKept = 0.9;
  return std::max(seconds, kKept * longest_seconds);
}

}  // namespace

void WorkerRegistry::Register(absl::string_view session,
                              const WorkerRecord& record,
                              const v1::Capabilities& capabilities,
                              absl::Time now, absl::string_view caller) {
  absl::MutexLock lock(&mu_);
  Entry& entry = entries_[std::string(session)];
  entry.name = record.name;
  entry.caller = std::string(caller);
  entry.is_cordoned = record.is_cordoned;
  entry.is_draining = record.is_draining;
  entry.capabilities = capabilities;
  entry.heard = now;
}

absl::Status WorkerRegistry::CheckOwner(absl::string_view session,
                                        absl::string_view caller) const {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it == entries_.end() || it->second.caller == caller) {
    return absl::OkStatus();
  }
  return MakeError(absl::StatusCode::kPermissionDenied, "SESSION_NOT_YOURS",
                   "the session was opened with other credentials");
}

absl::StatusOr<WorkerRegistry::Session> WorkerRegistry::Hear(
    absl::string_view session, absl::Time now) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it == entries_.end()) {
    return MakeError(absl::StatusCode::kNotFound, "SESSION_UNKNOWN",
                     "this server does not know the session; register");
  }
  Entry& entry = it->second;
  entry.heard = std::max(entry.heard, now);
  return Session{entry.capabilities.profile(),
                 entry.is_draining || entry.is_cordoned, entry.is_draining,
                 entry.completed_trials > 0 ? entry.longest_evaluation_seconds
                                            : longest_evaluation_seconds_};
}

void WorkerRegistry::NoteHeard(absl::string_view session, absl::Time now) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it != entries_.end()) it->second.heard = std::max(it->second.heard, now);
}

void WorkerRegistry::NoteCompleted(absl::string_view session,
                                   double evaluation_seconds) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it == entries_.end()) return;
  ++it->second.completed_trials;
  it->second.passed_elsewhere = 0;
  it->second.longest_evaluation_seconds =
      LongestLately(it->second.longest_evaluation_seconds, evaluation_seconds);
  longest_evaluation_seconds_ =
      LongestLately(longest_evaluation_seconds_, evaluation_seconds);
}

void WorkerRegistry::NoteEnding(absl::string_view session, bool is_ending) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it != entries_.end()) it->second.is_ending = is_ending;
}

void WorkerRegistry::Drain(absl::string_view worker) {
  absl::MutexLock lock(&mu_);
  for (auto& [session, entry] : entries_) {
    if (entry.name == worker) entry.is_draining = true;
  }
}

void WorkerRegistry::SetCordoned(absl::string_view worker, bool is_cordoned) {
  absl::MutexLock lock(&mu_);
  for (auto& [session, entry] : entries_) {
    if (entry.name != worker) continue;
    entry.is_cordoned = is_cordoned;
    // It starts with a clean record.
    if (!is_cordoned) entry.passed_elsewhere = 0;
  }
}

std::optional<std::string> WorkerRegistry::NotePassedElsewhere(
    absl::string_view session) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  if (it == entries_.end() || it->second.is_cordoned) return std::nullopt;
  if (++it->second.passed_elsewhere < kMostPassedElsewhere) return std::nullopt;
  it->second.is_cordoned = true;
  return it->second.name;
}

bool WorkerRegistry::IsDraining(absl::string_view session) const {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(session);
  return it != entries_.end() && it->second.is_draining;
}

int WorkerRegistry::CountActive(absl::Time now) const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(
      std::count_if(entries_.begin(), entries_.end(), [&](const auto& row) {
        const Entry& entry = row.second;
        return now - entry.heard <= kLostAfter && !entry.is_draining &&
               !entry.is_cordoned && !entry.is_ending;
      }));
}

std::vector<v1::WorkerInfo> WorkerRegistry::List(
    const std::map<std::string, int>& leases, absl::Time now) const {
  std::vector<v1::WorkerInfo> workers;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [session, entry] : entries_) {
      v1::WorkerInfo& info = workers.emplace_back();
      info.set_name(entry.name);
      *info.mutable_profile() = entry.capabilities.profile();
      info.set_cores(entry.capabilities.cores());
      info.set_memory_bytes(entry.capabilities.memory_bytes());
      info.set_host(entry.capabilities.host());
      info.set_pid(entry.capabilities.pid());
      info.set_caller(entry.caller);
      info.set_placement(entry.capabilities.placement());
      info.set_completed_trials(entry.completed_trials);
      info.set_silent_seconds(absl::ToDoubleSeconds(now - entry.heard));
      info.set_state(now - entry.heard > kLostAfter ? "lost"
                     : entry.is_draining            ? "draining"
                     : entry.is_cordoned            ? "cordoned"
                     : leases.count(session) > 0    ? "busy"
                     : entry.is_ending              ? "ending"
                                                    : "idle");
    }
  }
  std::sort(workers.begin(), workers.end(),
            [](const v1::WorkerInfo& a, const v1::WorkerInfo& b) {
              return a.name() < b.name();
            });
  return workers;
}

std::set<std::string> WorkerRegistry::Sessions() const {
  absl::MutexLock lock(&mu_);
  std::set<std::string> sessions;
  for (const auto& [session, entry] : entries_) sessions.insert(session);
  return sessions;
}

void WorkerRegistry::Forget(absl::Time now) {
  absl::MutexLock lock(&mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = now - it->second.heard > kForgottenAfter ? entries_.erase(it)
                                                  : std::next(it);
  }
}

}  // namespace lathe
