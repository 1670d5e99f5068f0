// Which choices keep a budget reachable while a plan is made step by step.
#ifndef LATHE_AGENT_REACHABILITY_H_
#define LATHE_AGENT_REACHABILITY_H_

#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "agent/cost_model.h"
#include "agent/decisions.h"
#include "agent/min_sum.h"

namespace lathe {

// Predicted latency and size that a plan may have.
struct Limits {
  double us = std::numeric_limits<double>::infinity();
  double bytes = std::numeric_limits<double>::infinity();
};

// The least latency and the least size that plans can still reach, by the cost
// model as it stood when this was made. Immutable.
class Reachability {
 public:
  // Both must outlive this.
  Reachability(const DecisionSpace* space, const CostModel* costs);

  // Least over all plans (each by itself: one plan need not reach both).
  double least_us() const { return least_us_; }
  double least_bytes() const { return least_bytes_; }

 private:
  friend class PrefixWalker;

  const DecisionSpace& space_;
  const CostModel& costs_;
  // Over keep choices by group; options are at their least.
  MinSum us_;
  MinSum bytes_;
  double fixed_us_;
  double fixed_bytes_;
  double least_us_;
  double least_bytes_;
};

// Of `allowed`, which is not empty, the nearest to `wanted`; of two as near,
// the earlier.
int Nearest(const std::vector<int>& allowed, int wanted);

// A plan in the making. Not thread-safe.
class PrefixWalker {
 public:
  // `reachability` must outlive the walker.
  explicit PrefixWalker(const Reachability* reachability);

  const Choices& choices() const { return choices_; }
  bool is_complete() const;
  // The decision that comes next. REQUIRES: not complete.
  const Decision& next() const;

  // Latency and size of a plan that begins with these choices and goes on as
  // cheaply as it can; each is that of the whole plan once it is complete.
  struct Bound {
    double us = 0;
    double bytes = 0;
  };
  const Bound& bound() const { return bound_; }
  // The bound after one more choice.
  Bound BoundIf(int choice) const;

  // Choices after which `limits` stay reachable. Never empty when the bound is
  // within `limits` and only one of the two is limited.
  std::vector<int> Allowed(const Limits& limits) const;
  // The choice after which the limits are exceeded by the least share.
  int LeastExceeding(const Limits& limits) const;

  void Push(int choice);
  // REQUIRES: choices() is not empty.
  void Pop();

  // Latency and size of the layers decided so far, fixed parts included.
  const Bound& spent() const { return spent_; }
  // Keep choices of the groups decided so far, 0 for the others; by group.
  const std::vector<int>& keeps() const { return keeps_; }

 private:
  struct State {
    Bound bound;
    Bound spent;
  };
  CostModel::LayerCost Cost(int layer, int option) const;
  // Least of a layer over its options, in us and in bytes.
  CostModel::LayerCost Least(int layer) const;

  const Reachability* const reach_;
  Choices choices_;
  std::vector<int> keeps_;
  // Groups decided are 0 .. decided_groups_ - 1: they are numbered in the
  // order of their decisions.
  int decided_groups_ = 0;
  Bound bound_;
  Bound spent_;
  std::vector<State> history_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_REACHABILITY_H_
