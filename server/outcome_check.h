// Whether what a worker reports can be true.
#ifndef LATHE_SERVER_OUTCOME_CHECK_H_
#define LATHE_SERVER_OUTCOME_CHECK_H_

#include "absl/status/status.h"
#include "proto/types.pb.h"

namespace lathe {

// Checks the parts of an outcome that the server and the agents rely on: every
// number finite, rates in [0, 1], the latency and its ratio and the size above
// 0, counts consistent. A measured trial 0 (`is_baseline`) needs a report with
// a usable search space.
//
// Errors:
//   InvalidArgument (OUTCOME_INVALID) - the message names field, value and
//     rule.
absl::Status CheckOutcome(const v1::Outcome& outcome, bool is_baseline);

// Errors: as CheckOutcome.
absl::Status CheckMeasurement(const v1::Measurement& measurement);
absl::Status CheckBaselineReport(const v1::BaselineReport& report);

}  // namespace lathe

#endif  // LATHE_SERVER_OUTCOME_CHECK_H_
