// Plans compared by several costs at once.
#ifndef LATHE_AGENT_NONDOMINATED_H_
#define LATHE_AGENT_NONDOMINATED_H_

#include <vector>

#include "agent/archive.h"
#include "agent/search_core.h"

namespace lathe {

// What is minimised, one number an objective.
using Costs = std::vector<double>;

// Minus the quality, then latency and size as far as the job has them as
// objectives or budgets.
Costs CostsOf(const SearchCore& core, const Evaluated& row);

// No cost is higher, and one is lower. REQUIRES: equal sizes.
bool Dominates(const Costs& a, const Costs& b);

// Of each: 0 where nothing dominates it, 1 where only such as have 0 do, and so
// on.
std::vector<int> NondominatedRanks(const std::vector<Costs>& costs);

// Volume between `reference` and what `points` dominate; up to three costs.
// Points that are not better than the reference everywhere add nothing.
double DominatedVolume(std::vector<Costs> points, const Costs& reference);

}  // namespace lathe

#endif  // LATHE_AGENT_NONDOMINATED_H_
