// The words that people and JSON use for enumerations.
#ifndef LATHE_PROTO_NAMES_H_
#define LATHE_PROTO_NAMES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/types.pb.h"

namespace lathe {

// "f32", "bf16", "int8"; "unspecified" otherwise.
absl::string_view PrecisionName(v1::Precision precision);

// Errors:
//   InvalidArgument - `name` is no precision.
absl::StatusOr<v1::Precision> ParsePrecision(absl::string_view name);

// "PENDING", "RUNNING", "PAUSED", "DONE", "CANCELLED", "FAILED".
absl::string_view JobStateName(v1::JobState state);

// "PENDING", "LEASED", "MEASURED", "INFEASIBLE", "FAILED", "QUARANTINED".
absl::string_view TrialStateName(v1::TrialState state);

// Whether nothing more will happen to a job, or a trial, in `state`.
bool IsFinal(v1::JobState state);
bool IsFinal(v1::TrialState state);

}  // namespace lathe

#endif  // LATHE_PROTO_NAMES_H_
