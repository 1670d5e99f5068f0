#include "agent/growing_frontier.h"

#include <algorithm>

#include "agent/objective.h"
#include "proto/plan.h"

namespace lathe {

GrowingFrontier::GrowingFrontier(absl::Span<const std::string> objectives) {
  for (const std::string& objective : objectives) {
    has_latency_ = has_latency_ || objective == "latency";
    has_size_ = has_size_ || objective == "size";
  }
}

GrowingFrontier::Point GrowingFrontier::PointOf(const v1::Trial& trial) const {
  const v1::Measurement& m = trial.measurement();
  Point point;
  point.loss = -m.accuracy();
  if (has_latency_) point.latency_ratio = m.latency_ratio();
  if (has_size_) point.bytes = static_cast<double>(MeasuredBytes(m));
  point.number = trial.number();
  return point;
}

bool GrowingFrontier::IsAtLeastAsGood(const Point& a, const Point& b) {
  return a.loss <= b.loss && a.latency_ratio <= b.latency_ratio &&
         a.bytes <= b.bytes;
}

bool GrowingFrontier::Dominates(const Point& a, const Point& b) {
  if (!IsAtLeastAsGood(a, b)) return false;
  return !IsAtLeastAsGood(b, a) || a.number < b.number;
}

bool GrowingFrontier::IsDominated(const Point& point) const {
  return std::any_of(
      members_.begin(), members_.end(),
      [&point](const Point& member) { return Dominates(member, point); });
}

bool GrowingFrontier::Add(const v1::Trial& trial) {
  if (!IsMeasuredWhole(trial)) return false;
  const Point point = PointOf(trial);
  if (IsDominated(point)) return false;
  members_.erase(std::remove_if(members_.begin(), members_.end(),
                                [&point](const Point& member) {
                                  return member.number == point.number ||
                                         Dominates(point, member);
                                }),
                 members_.end());
  members_.push_back(point);
  return true;
}

bool GrowingFrontier::WouldEnter(const v1::Trial& trial) const {
  return !trial.measurement().has_early_stop() && !IsDominated(PointOf(trial));
}

std::vector<int64_t> GrowingFrontier::Numbers() const {
  std::vector<int64_t> numbers;
  for (const Point& member : members_) numbers.push_back(member.number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace lathe
