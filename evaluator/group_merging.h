// Grouped convolutions whose groups have few channels, taken for convolutions
// of fewer groups whose weights are zeros across the old ones. oneDNN has no
// quick kernel for groups of, say, 6 channels (as pruning leaves behind), and
// multiplying four times as much by a quick one takes a fifth of the time.
#ifndef LATHE_EVALUATOR_GROUP_MERGING_H_
#define LATHE_EVALUATOR_GROUP_MERGING_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "compressor/tensor.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

// How many groups to take for one; 1 where oneDNN's kernel for them is quick,
// or nothing that is quicker is found. `weights` is [groups, out, in,
// kernel...]; `spec` has shapes only, for them. The same on every machine that
// has the same kernels: bits must not depend on a measurement.
int64_t GroupsToMerge(const ConvolutionSpec& spec, const Shape& weights);

// [groups / merged, merged * out, merged * in, kernel...].
Shape MergedShape(const Shape& weights, int64_t merged);

// `values`, row-major weights of shape `weights`, as those of MergedShape.
std::vector<float> MergeGroups(absl::Span<const float> values,
                               const Shape& weights, int64_t merged);
std::vector<int8_t> MergeGroups(absl::Span<const int8_t> levels,
                                const Shape& weights, int64_t merged);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_GROUP_MERGING_H_
