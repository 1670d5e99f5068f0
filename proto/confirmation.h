// Whether a trial is better than another one, on samples that chose neither.
#ifndef LATHE_PROTO_CONFIRMATION_H_
#define LATHE_PROTO_CONFIRMATION_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// Accuracy of `a` less that of `b` on the confirmation split, sample by sample.
// The 95 % interval is Wald's after half a sample was added to each cell of the
// table of right and wrong (Agresti and Min 2005), which keeps its level for
// few samples and few differences. Nothing where one of them was not measured
// there, or on another number of samples.
std::optional<v1::PairedDifference> LeadOf(const v1::Measurement& a,
                                           const v1::Measurement& b);

// Ends the source of a proposal that is the solver's answer for the job's
// budget.
constexpr absl::string_view kSolversAnswer = "/solvers-answer";
bool IsSolversAnswer(const v1::Trial& trial);

// Whether the bits are those of so many samples, so many of them correct.
bool AreConfirmationBits(const v1::Measurement& measurement);

}  // namespace lathe

#endif  // LATHE_PROTO_CONFIRMATION_H_
