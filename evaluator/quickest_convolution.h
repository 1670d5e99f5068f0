// Which of oneDNN's implementations of an 8-bit convolution is the quickest
// here.
#ifndef LATHE_EVALUATOR_QUICKEST_CONVOLUTION_H_
#define LATHE_EVALUATOR_QUICKEST_CONVOLUTION_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

// The convolution of 8-bit levels `spec` by the implementation that ran it
// quickest on random levels. That is measured, in about a millisecond, when a
// convolution of this kind is asked for for the first time in the process, with
// the threads that the process then has.
//
// What is measured decides on latency alone: an implementation that differs
// from the library's preferred one in a bit of its result is not taken, so that
// a model computes the same in every process. Nor is one that gains less than
// 3 %.
//
// Errors: as MakeConvolution.
absl::StatusOr<Kernel> QuickestConvolution(const ConvolutionSpec& spec,
                                           const Attributes& attributes);

// The measurement behind it: index of the quickest of MakeConvolutions(spec,
// attributes).
//
// Errors: as MakeConvolution.
absl::StatusOr<size_t> MeasureQuickest(absl::Span<const Kernel> kernels,
                                       const ConvolutionSpec& spec,
                                       const Attributes& attributes);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_QUICKEST_CONVOLUTION_H_
