#include "server/frontier_tracker.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/status.h"
#include "proto/confirmation.h"
#include "server/steady.h"

namespace lathe {
namespace {

// The places in Frontiers::by_axes.
enum AxesIndex { kLatency, kSize, kLatencyAndSize };

std::vector<GrowingFrontier> MakeFrontiers() {
  using Axes = std::vector<std::string>;
  std::vector<GrowingFrontier> frontiers;
  frontiers.emplace_back(Axes{"latency"});
  frontiers.emplace_back(Axes{"size"});
  frontiers.emplace_back(Axes{"latency", "size"});
  return frontiers;
}

AxesIndex IndexOf(absl::Span<const std::string> objectives) {
  const auto has = [&](absl::string_view axis) {
    return std::find(objectives.begin(), objectives.end(), axis) !=
           objectives.end();
  };
  if (!has("size")) return kLatency;
  return has("latency") ? kLatencyAndSize : kSize;
}

}  // namespace

bool FrontierTracker::AddTo(const v1::Trial& trial, Frontiers& frontiers) {
  bool is_member = false;
  for (GrowingFrontier& frontier : frontiers.by_axes) {
    is_member = frontier.Add(trial) || is_member;
  }
  if (trial.state() == v1::TRIAL_MEASURED && IsSolversAnswer(trial)) {
    frontiers.solvers_answers.insert(trial.number());
    is_member = true;
  }
  return is_member;
}

FrontierTracker::Frontiers& FrontierTracker::Of(absl::string_view job) {
  const auto known = entries_.find(job);
  if (known != entries_.end()) return known->second.frontiers;
  Entry& entry = entries_[std::string(job)];
  entry = {Frontiers{MakeFrontiers(), {}}, SteadyNow()};
  return entry.frontiers;
}

absl::Status FrontierTracker::Load(absl::string_view job) {
  {
    absl::MutexLock lock(&mu_);
    const auto known = entries_.find(job);
    if (known != entries_.end()) {
      // So that it is not forgotten before the caller has used it.
      known->second.used = SteadyNow();
      return absl::OkStatus();
    }
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         store_.AllTrials(job));
  Frontiers frontiers = {MakeFrontiers(), {}};
  for (const v1::Trial& trial : trials) AddTo(trial, frontiers);
  absl::MutexLock lock(&mu_);
  // Two may load at once; each then adds the trial that it came with.
  entries_.emplace(std::string(job), Entry{std::move(frontiers), SteadyNow()});
  return absl::OkStatus();
}

absl::StatusOr<bool> FrontierTracker::Add(absl::string_view job,
                                          const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  return AddTo(trial, Of(job));
}

absl::StatusOr<bool> FrontierTracker::WouldEnter(absl::string_view job,
                                                 const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  if (IsSolversAnswer(trial)) return true;
  absl::MutexLock lock(&mu_);
  const std::vector<GrowingFrontier>& frontiers = Of(job).by_axes;
  return std::any_of(frontiers.begin(), frontiers.end(),
                     [&trial](const GrowingFrontier& frontier) {
                       return frontier.WouldEnter(trial);
                     });
}

absl::StatusOr<std::vector<int64_t>> FrontierTracker::Frontier(
    absl::string_view job, absl::Span<const std::string> objectives) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  return Of(job).by_axes[IndexOf(objectives)].Numbers();
}

absl::StatusOr<std::vector<int64_t>> FrontierTracker::Exportable(
    absl::string_view job) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  const Frontiers& frontiers = Of(job);
  std::set<int64_t> numbers = frontiers.solvers_answers;
  for (const GrowingFrontier& frontier : frontiers.by_axes) {
    for (const int64_t number : frontier.Numbers()) numbers.insert(number);
  }
  return std::vector<int64_t>(numbers.begin(), numbers.end());
}

void FrontierTracker::Forget(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(job);
  if (it != entries_.end()) entries_.erase(it);
}

void FrontierTracker::ForgetUnused(absl::Time before) {
  absl::MutexLock lock(&mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = it->second.used < before ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace lathe
