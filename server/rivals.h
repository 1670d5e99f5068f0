// What a trial has to beat, for its worker's first look.
#ifndef LATHE_SERVER_RIVALS_H_
#define LATHE_SERVER_RIVALS_H_

#include "absl/status/statusor.h"
#include "proto/types.pb.h"
#include "server/frontier_tracker.h"
#include "storage/store.h"

namespace lathe {

// The frontier as it is now and what `trial`'s agent predicted of it. No
// latency is predicted, and the trial measured whole, where the job measures
// all of them whole, where no agent proposed the trial (what a user asks for is
// measured) or it is the solver's answer, which others have to beat, where a
// look has chosen it, and where the agent predicted none.
//
// Errors: those of the store.
absl::StatusOr<v1::Rivals> RivalsOf(const v1::JobSpec& spec,
                                    const v1::Trial& trial, Store& store,
                                    FrontierTracker& frontiers);

}  // namespace lathe

#endif  // LATHE_SERVER_RIVALS_H_
