// Measuring what a job's agent answers for a budget.
#ifndef LATHE_CLIENT_CLI_MEASURED_ANSWER_H_
#define LATHE_CLIENT_CLI_MEASURED_ANSWER_H_

#include "absl/status/statusor.h"
#include "client/search_client.h"
#include "proto/types.pb.h"

namespace lathe {

// The ended trial of `plan`, which waits for a worker where it has to: the
// job's own where it has measured the plan; else a new trial of the job while
// it runs, or the only trial of a new job of the same model and data once it
// has ended. Repeated it finds that trial again.
//
// Errors: those of the server; Cancelled - the job was ended before the trial.
absl::StatusOr<v1::Trial> MeasurePlan(const SearchClient& client,
                                      const v1::Job& job,
                                      const v1::CompressionPlan& plan);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_MEASURED_ANSWER_H_
