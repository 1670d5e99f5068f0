// Seeds that the solver and the strongest interactions suggest.
#ifndef LATHE_AGENT_SOLVER_SEEDS_H_
#define LATHE_AGENT_SOLVER_SEEDS_H_

#include <vector>

#include "agent/archive.h"
#include "agent/divergence_model.h"
#include "agent/search_core.h"

namespace lathe {

// The solver's plans for up to 16 budgets (one for every 75 trials of the job:
// more of them first cost more of the early frontier than they give), spread
// evenly over what can be reached of the objectives, or close under the job's
// budget where there is one (an integer linear programme per budget, as
// HAWQ-V3, Yao et al. 2021).
std::vector<Choices> SolverSeeds(const SearchCore& core,
                                 const DivergenceModel& model);

// Pairs of measured single changes, those first whose damages have the largest
// product, which bounds what two changes can have in common (CLADO, Deng et al.
// 2023): one for every 100 trials of the job. None where the job has a budget:
// hardly any pair is within it.
std::vector<Choices> InteractionSeeds(const SearchCore& core,
                                      const Archive& archive);

}  // namespace lathe

#endif  // LATHE_AGENT_SOLVER_SEEDS_H_
