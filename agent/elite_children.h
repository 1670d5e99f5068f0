// New plans made from good ones.
#ifndef LATHE_AGENT_ELITE_CHILDREN_H_
#define LATHE_AGENT_ELITE_CHILDREN_H_

#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Two elites crossed, or one, with one to three decisions changed.
// REQUIRES: the space has decisions.
Choices EliteChild(const SearchCore& core, const Archive& archive,
                   Random* random);

// An elite, likelier the nearer its cost is to the budget.
const Evaluated& EliteNear(const Archive& archive, const EpisodeBudget& budget,
                           Random* random);

}  // namespace lathe

#endif  // LATHE_AGENT_ELITE_CHILDREN_H_
