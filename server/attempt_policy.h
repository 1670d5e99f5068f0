// What becomes of a trial when an attempt ends.
#ifndef LATHE_SERVER_ATTEMPT_POLICY_H_
#define LATHE_SERVER_ATTEMPT_POLICY_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

// An attempt that ends now.
struct EndingAttempt {
  v1::OutcomeKind kind = v1::OUTCOME_UNSPECIFIED;
  bool has_measurement = false;
  absl::string_view session;
};

// The trial's next state:
// - MEASURED and INFEASIBLE end it.
// - NOISY is measured again once; the second noisy measurement is accepted.
// - BAD_INPUT is tried again until two workers agree, or the only active one
//   says so twice: FAILED.
// - TRANSIENT, OUT_OF_MEMORY, TIMEOUT, CRASH (and NOISY without measurement)
//   are tried again until there are three on at least two workers, or three on
//   the only active one: QUARANTINED.
// Where other workers are active but the attempts keep going to one, twice as
// many are enough.
//
// `earlier` are the trial's attempts that ended with an outcome, in order.
v1::TrialState NextTrialState(const EndingAttempt& ending,
                              absl::Span<const EndedAttempt> earlier,
                              int active_workers);

}  // namespace lathe

#endif  // LATHE_SERVER_ATTEMPT_POLICY_H_
