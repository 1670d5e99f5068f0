// The plans that the default agent starts from.
#ifndef LATHE_AGENT_RL_SEEDS_H_
#define LATHE_AGENT_RL_SEEDS_H_

#include <vector>

#include "agent/decisions.h"
#include "agent/search_core.h"

namespace lathe {

// At most `most` distinct plans, all within the core's limits and unknown, the
// most useful first: all layers alike (int8, bf16, then fewer channels, then
// fewer bits where size matters); then single changes. Without limits those are
// changes of the uncompressed model (UsefulChanges); with limits, changes of
// the fastest plan that keeps the most channels: half of a group's channels
// gone, a layer back in f32.
std::vector<Choices> MakeSeeds(const SearchCore& core, size_t most);

// Whether bytes count: "size" is an objective or has a budget.
bool SizeMatters(const SearchCore& core);

}  // namespace lathe

#endif  // LATHE_AGENT_RL_SEEDS_H_
