// How thoroughly a job measures its trials, and what tells which way a trial
// was measured.
#ifndef LATHE_PROTO_FIDELITY_H_
#define LATHE_PROTO_FIDELITY_H_

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "proto/types.pb.h"

namespace lathe {

// The values of JobSpec.fidelity.
constexpr absl::string_view kFullFidelity = "full";
constexpr absl::string_view kLadderFidelity = "ladder";

// Of jobs with fewer trials every one is measured whole: there is little to
// save, and a frontier of few looks would be none.
constexpr int64_t kLeastTrialsForLooks = 16;

// What no plan can better by enough to count: a divergence, nats. ResNet-20
// answers within a quarter of a point of the original then, either way
// (experiments/evaluation/README.md).
constexpr double kNothingToGain = 0.005;

// Whether what the job's agent proposes is looked at first.
inline bool HasLooks(const v1::JobSpec& spec) {
  return spec.fidelity() == kLadderFidelity &&
         spec.trials() >= kLeastTrialsForLooks;
}

// Before the source of a trial that ended on a first look: the source of the
// trial that measures its plan whole.
constexpr absl::string_view kWholePrefix = "whole/";

// Whether the trial measures a plan whole that another trial looked at.
inline bool IsSecondMeasurement(const v1::Trial& trial) {
  return absl::StartsWith(trial.proposal().source(), kWholePrefix);
}

// Who had the idea for the trial's plan.
inline absl::string_view ProposerOf(const v1::Trial& trial) {
  return absl::StripPrefix(trial.proposal().source(), kWholePrefix);
}

}  // namespace lathe

#endif  // LATHE_PROTO_FIDELITY_H_
