// The frontier of trials that come one by one.
#ifndef LATHE_AGENT_GROWING_FRONTIER_H_
#define LATHE_AGENT_GROWING_FRONTIER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// Holds what ParetoFrontier gives for all trials added so far, in whichever
// order they came. Adding costs a look at each member, not at each trial. Not
// thread-safe.
class GrowingFrontier {
 public:
  // Axes besides accuracy, as ParetoFrontier's.
  explicit GrowingFrontier(absl::Span<const std::string> objectives);

  // Takes in a trial; one that is not measured whole changes nothing. Whether
  // it is a member now; a member that is added again stays one.
  bool Add(const v1::Trial& trial);

  // Whether `trial`, measured, would be a member if it were added; never for
  // one that was only looked at.
  bool WouldEnter(const v1::Trial& trial) const;

  // Trial numbers, ascending.
  std::vector<int64_t> Numbers() const;

 private:
  // All but the number are to be minimised; an axis that does not count is 0.
  struct Point {
    double loss = 0;
    double latency_ratio = 0;
    double bytes = 0;
    int64_t number = 0;
  };

  Point PointOf(const v1::Trial& trial) const;
  static bool IsAtLeastAsGood(const Point& a, const Point& b);
  // Of equals the lower number dominates.
  static bool Dominates(const Point& a, const Point& b);
  bool IsDominated(const Point& point) const;

  bool has_latency_ = false;
  bool has_size_ = false;
  std::vector<Point> members_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_GROWING_FRONTIER_H_
