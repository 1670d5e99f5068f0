// The frontier, and the best configuration within bounds.
#ifndef LATHE_SERVER_RESULTS_H_
#define LATHE_SERVER_RESULTS_H_

#include "absl/status/statusor.h"
#include "proto/search.pb.h"
#include "server/frontier_tracker.h"
#include "storage/store.h"

namespace lathe {

// Errors:
//   NotFound (JOB_NOT_FOUND).
//   InvalidArgument (FIELD_INVALID) - an objective that is not known.
//   FailedPrecondition (NOTHING_MEASURED) - trial 0 is not measured yet.
absl::StatusOr<v1::Frontier> ReadFrontier(const v1::GetFrontierRequest& request,
                                          Store& store,
                                          FrontierTracker& frontiers);

// Picks among the trials whose models are kept; only when confidence is asked
// for and none of those meets the bounds, among all.
//
// Errors: as ReadFrontier; InvalidArgument (FIELD_INVALID) - see CheckBounds.
absl::StatusOr<v1::BestConfiguration> FindBestConfiguration(
    const v1::GetBestConfigurationRequest& request, Store& store,
    FrontierTracker& frontiers);

}  // namespace lathe

#endif  // LATHE_SERVER_RESULTS_H_
