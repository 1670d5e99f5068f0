// The trials that nothing dominates.
#ifndef LATHE_AGENT_FRONTIER_H_
#define LATHE_AGENT_FRONTIER_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// Indices into `trials` of those that are measured whole and that no other one
// of them dominates: none is at least as good on accuracy (search split) and on
// every objective ("latency": latency_ratio, "size": size_bytes) and better on
// one. Of equals the lowest trial number stays. By ascending latency, then
// size.
std::vector<int> ParetoFrontier(absl::Span<const v1::Trial> trials,
                                absl::Span<const std::string> objectives);

// The area that `trials` dominate in (latency_ratio, report accuracy /
// baseline report accuracy) against the reference point (1, 0.8), divided by
// 0.2. Trials without a report accuracy count with their search accuracy
// against the baseline's.
double Hypervolume(absl::Span<const v1::Trial> trials,
                   const v1::Measurement& baseline);

// The most accurate measured trial within the request's bounds (ties: lower
// latency), or the three nearest misses and why. Where the bounds are those of
// `asked`, the job's budget, and the solver's answer for it meets them, that is
// the answer until another is surely better on the confirmation split, or is no
// worse there and costs no more; see BestConfiguration.
v1::BestConfiguration BestWithin(absl::Span<const v1::Trial> trials,
                                 const v1::Measurement& baseline,
                                 const v1::GetBestConfigurationRequest& bounds,
                                 const v1::Budget& asked = {});

}  // namespace lathe

#endif  // LATHE_AGENT_FRONTIER_H_
