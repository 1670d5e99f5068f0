// What infeasible trials tell of other plans.
#ifndef LATHE_AGENT_FEASIBILITY_H_
#define LATHE_AGENT_FEASIBILITY_H_

#include <map>
#include <vector>

#include "absl/types/span.h"
#include "agent/archive.h"
#include "agent/decisions.h"

namespace lathe {

// A plan mostly fails for what one layer should do: an option that has no
// kernel at that many channels, or that the space lists though it does not
// exist. So each layer's option and keep ratio together are held against the
// infeasible plans that have them, until a feasible plan has them, too. Values
// are immutable.
class Feasibility {
 public:
  // Of a space without trials. `space` must outlive this.
  explicit Feasibility(const DecisionSpace* space) : space_(space) {}
  Feasibility(const DecisionSpace* space, const std::vector<Evaluated>& rows);

  // The most infeasible plans that have the same option and keep ratio of a
  // layer, of those that no feasible plan has; 0 when nothing is held against
  // the plan.
  int Doubts(absl::Span<const int> plan) const;

  // Rows that say something of divergences: not the infeasible ones against
  // which a single layer speaks.
  std::vector<Evaluated> Telling(const std::vector<Evaluated>& rows) const;

 private:
  struct Tried {
    int feasible = 0;
    int infeasible = 0;
  };
  // Options times keep ratios, by layer.
  int PlaceOf(absl::Span<const int> plan, int layer) const;

  const DecisionSpace* space_;
  std::vector<std::map<int, Tried>> tried_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_FEASIBILITY_H_
