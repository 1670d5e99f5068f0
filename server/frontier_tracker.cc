#include "server/frontier_tracker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/status.h"

namespace lathe {
namespace {

// The places in FrontierTracker::Frontiers.
enum AxesIndex { kLatency, kSize, kLatencyAndSize };

std::vector<GrowingFrontier> MakeFrontiers() {
  using Axes = std::vector<std::string>;
  std::vector<GrowingFrontier> frontiers;
  frontiers.emplace_back(Axes{"latency"});
  frontiers.emplace_back(Axes{"size"});
  frontiers.emplace_back(Axes{"latency", "size"});
  return frontiers;
}

bool AddToAll(std::vector<GrowingFrontier>& frontiers, const v1::Trial& trial) {
  bool is_member = false;
  for (GrowingFrontier& frontier : frontiers) {
    is_member = frontier.Add(trial) || is_member;
  }
  return is_member;
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

FrontierTracker::Frontiers& FrontierTracker::Of(absl::string_view job) {
  const auto known = frontiers_.find(job);
  if (known != frontiers_.end()) return known->second;
  return frontiers_[std::string(job)] = MakeFrontiers();
}

absl::Status FrontierTracker::Load(absl::string_view job) {
  {
    absl::MutexLock lock(&mu_);
    if (frontiers_.find(job) != frontiers_.end()) return absl::OkStatus();
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         store_.AllTrials(job));
  Frontiers frontiers = MakeFrontiers();
  for (const v1::Trial& trial : trials) AddToAll(frontiers, trial);
  absl::MutexLock lock(&mu_);
  // Two may load at once; each then adds the trial that it came with.
  frontiers_.emplace(std::string(job), std::move(frontiers));
  return absl::OkStatus();
}

absl::StatusOr<bool> FrontierTracker::Add(absl::string_view job,
                                          const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  return AddToAll(Of(job), trial);
}

absl::StatusOr<bool> FrontierTracker::WouldEnter(absl::string_view job,
                                                 const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  const Frontiers& frontiers = Of(job);
  return std::any_of(frontiers.begin(), frontiers.end(),
                     [&trial](const GrowingFrontier& frontier) {
                       return frontier.WouldEnter(trial);
                     });
}

absl::StatusOr<std::vector<int64_t>> FrontierTracker::Frontier(
    absl::string_view job, absl::Span<const std::string> objectives) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  return Of(job)[IndexOf(objectives)].Numbers();
}

absl::StatusOr<std::vector<int64_t>> FrontierTracker::Exportable(
    absl::string_view job) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  std::set<int64_t> numbers;
  for (const GrowingFrontier& frontier : Of(job)) {
    for (const int64_t number : frontier.Numbers()) numbers.insert(number);
  }
  return std::vector<int64_t>(numbers.begin(), numbers.end());
}

void FrontierTracker::Forget(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  const auto it = frontiers_.find(job);
  if (it != frontiers_.end()) frontiers_.erase(it);
}

}  // namespace lathe
