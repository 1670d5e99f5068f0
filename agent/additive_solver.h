// The plan of least predicted damage within a budget.
#ifndef LATHE_AGENT_ADDITIVE_SOLVER_H_
#define LATHE_AGENT_ADDITIVE_SOLVER_H_

#include "agent/decisions.h"
#include "agent/divergence_model.h"
#include "agent/reachability.h"
#include "agent/search_core.h"

namespace lathe {

// Minimises the sum of damages among the plans predicted to be within `limits`.
// Damage and cost are sums of small tables, so the minimum of damage + price x
// cost is exact (MinSum) for any price; the price is bisected until the limits
// are just met, and what is left of them is spent on the single changes that
// help most. So the answer is optimal on the convex hull of the trade-off and
// near it elsewhere. When no plan meets the limits, the cheapest plan.
struct PricedPlan {
  Choices plan;
  // Of a cost of all the limits, in damage; 0 where the limits do not bind.
  double price = 0;
};
PricedPlan LeastDamageAndPrice(const SearchCore& core,
                               const DivergenceModel& model,
                               const Limits& limits);
Choices LeastDamage(const SearchCore& core, const DivergenceModel& model,
                    const Limits& limits);

}  // namespace lathe

#endif  // LATHE_AGENT_ADDITIVE_SOLVER_H_
