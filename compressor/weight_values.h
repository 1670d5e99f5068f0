// Which values weights may take when no integers hold them: zeros by magnitude,
// and a codebook of few.
#ifndef LATHE_COMPRESSOR_WEIGHT_VALUES_H_
#define LATHE_COMPRESSOR_WEIGHT_VALUES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace lathe {

// Which weights become 0: the smallest ones (Han et al., "Learning both Weights
// and Connections for Efficient Neural Networks", 2015).
struct Sparsity {
  // Share of a layer's weights, in [0, 1).
  double ratio = 0;
  // Else, where `of` > 0: this many of each `of` that follow one another among
  // the weights of one output.
  int zeros = 0;
  int of = 0;

  bool IsNone() const { return ratio == 0 && of == 0; }
};

// "" or "0" (none), a share such as "0.5", or "2:4": 2 of every 4 are 0.
//
// Errors: InvalidArgument - not of this form, a share outside [0, 1), or not
// 0 < ZEROS < OF <= 64.
absl::StatusOr<Sparsity> ParseSparsity(absl::string_view text);

// Whether each weight becomes 0; `weights` is [outputs, per_output]. Among
// equals the first goes. What is left over of a row that is no multiple of `of`
// stays.
std::vector<bool> ZeroMask(absl::Span<const float> weights, int64_t per_output,
                           const Sparsity& sparsity);

// At most `count` values, ascending, such that `weights` lie close to them: k-
// means (Han et al., "Deep Compression", 2016), which in one dimension has a
// best answer that dynamic programming finds (Wu, "Optimal Quantization by
// Matrix Searching", 1991). Of more than 4096 weights the cuts are the best
// between 4096 parts, moved on by Lloyd's rounds. The same for equal arguments.
//
// REQUIRES: count > 0; weights are finite.
std::vector<float> MakeCodebook(std::vector<float> weights, int count);

// The value of the ascending, not empty `codebook` nearest to `x`; the smaller
// of two.
float NearestCode(absl::Span<const float> codebook, float x);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_WEIGHT_VALUES_H_
