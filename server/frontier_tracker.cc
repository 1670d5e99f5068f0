#include "server/frontier_tracker.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include "agent/frontier.h"
#include "base/status.h"

namespace lathe {
namespace {

std::vector<std::string> ObjectivesOf(const v1::Job& job) {
  return {job.spec().objectives().begin(), job.spec().objectives().end()};
}

bool HasNumber(absl::Span<const v1::Trial> trials, int64_t number) {
  return std::any_of(trials.begin(), trials.end(),
                     [&](const v1::Trial& t) { return t.number() == number; });
}

// `members` with `point` in the place of an earlier one of its number.
std::vector<v1::Trial> WithPoint(std::vector<v1::Trial> members,
                                 v1::Trial point) {
  members.erase(std::remove_if(members.begin(), members.end(),
                               [&](const v1::Trial& t) {
                                 return t.number() == point.number();
                               }),
                members.end());
  members.push_back(std::move(point));
  return members;
}

}  // namespace

v1::Trial FrontierPoint(const v1::Trial& trial) {
  v1::Trial point;
  point.set_name(trial.name());
  point.set_number(trial.number());
  point.set_state(trial.state());
  *point.mutable_measurement() = trial.measurement();
  point.mutable_measurement()->clear_layers();
  point.mutable_measurement()->clear_profile();
  return point;
}

std::vector<v1::Trial> ExportableTrials(
    absl::Span<const v1::Trial> trials,
    absl::Span<const std::string> objectives) {
  std::set<int> indices;
  for (const int i : ParetoFrontier(trials, objectives)) indices.insert(i);
  const std::vector<std::string> all_axes = {"latency", "size"};
  for (const int i : ParetoFrontier(trials, all_axes)) indices.insert(i);
  std::vector<v1::Trial> exportable;
  for (const int i : indices) exportable.push_back(trials[i]);
  std::sort(exportable.begin(), exportable.end(),
            [](const v1::Trial& a, const v1::Trial& b) {
              return a.number() < b.number();
            });
  return exportable;
}

absl::Status FrontierTracker::Load(const v1::Job& job) {
  {
    absl::MutexLock lock(&mu_);
    if (members_.count(job.name()) > 0) return absl::OkStatus();
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         store_.AllTrials(job.name()));
  std::vector<v1::Trial> points;
  for (const v1::Trial& trial : trials) {
    if (trial.state() == v1::TRIAL_MEASURED) {
      points.push_back(FrontierPoint(trial));
    }
  }
  points = ExportableTrials(points, ObjectivesOf(job));
  absl::MutexLock lock(&mu_);
  // Two may load at once; each then adds the trial that it came with.
  members_.emplace(job.name(), std::move(points));
  return absl::OkStatus();
}

absl::StatusOr<bool> FrontierTracker::Add(const v1::Job& job,
                                          const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  std::vector<v1::Trial>& members = members_[job.name()];
  members = ExportableTrials(
      WithPoint(std::move(members), FrontierPoint(trial)), ObjectivesOf(job));
  return HasNumber(members, trial.number());
}

absl::StatusOr<bool> FrontierTracker::WouldEnter(const v1::Job& job,
                                                 const v1::Trial& trial) {
  LATHE_RETURN_IF_ERROR(Load(job));
  absl::MutexLock lock(&mu_);
  // The number that it would get is above all others.
  v1::Trial point = FrontierPoint(trial);
  point.set_number(std::numeric_limits<int64_t>::max());
  return HasNumber(ExportableTrials(WithPoint(members_[job.name()], point),
                                    ObjectivesOf(job)),
                   point.number());
}

void FrontierTracker::Forget(absl::string_view job) {
  absl::MutexLock lock(&mu_);
  const auto it = members_.find(job);
  if (it != members_.end()) members_.erase(it);
}

}  // namespace lathe
