// The options of quantisation by name, as people write them.
#ifndef LATHE_COMPRESSOR_QUANTIZE_NAMES_H_
#define LATHE_COMPRESSOR_QUANTIZE_NAMES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/compress.h"

namespace lathe {

// "minmax", "average", "percentile" or "percentile:SHARE", "entropy", "mse",
// "loss" (LAPQ), or "norm:EXPONENT".
//
// Errors: InvalidArgument - another name, a share outside (0, 1], an exponent
// outside [1, 8].
absl::StatusOr<RangeOptions> ParseRangeMethod(absl::string_view text);

// Sets the options that make low precision cost less accuracy: "none", "all"
// (the default of CompressOptions), or names joined by "+": "equalize"
// (equalisation across layers), "smooth" (smooth.h), "refit" (all the way) or
// "half-refit" (WeightOptions.refit_share; of every layer, where "all" leaves
// 8-bit layers with nearly the original's inputs as they are), "rounding"
// (second order), "analytic" or "bias" (the bias correction, empirical).
//
// Errors: InvalidArgument - another name.
absl::Status SetRepairs(absl::string_view text, CompressOptions* options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_QUANTIZE_NAMES_H_
