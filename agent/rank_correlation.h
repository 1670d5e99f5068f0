// How alike two orders are.
#ifndef LATHE_AGENT_RANK_CORRELATION_H_
#define LATHE_AGENT_RANK_CORRELATION_H_

#include "absl/types/span.h"

namespace lathe {

// Spearman's rank correlation of two sequences; equal values share a rank. 0
// where all values of one are equal. REQUIRES: as many of each.
double RankCorrelation(absl::Span<const double> a, absl::Span<const double> b);

}  // namespace lathe

#endif  // LATHE_AGENT_RANK_CORRELATION_H_
