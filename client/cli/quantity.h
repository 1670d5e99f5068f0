// Latencies, sizes and shares as people write them.
#ifndef LATHE_CLIENT_CLI_QUANTITY_H_
#define LATHE_CLIENT_CLI_QUANTITY_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// A share of the baseline's: "0.5x".
struct BaselineRatio {
  double value = 1;
};
struct Microseconds {
  double value = 0;
};
struct Bytes {
  int64_t value = 0;
};

using LatencyBound = std::variant<Microseconds, BaselineRatio>;
using SizeBound = std::variant<Bytes, BaselineRatio>;

// "300us", "0.5ms", "1.5s" or "0.5x"; positive.
// Errors: InvalidArgument - not of this form.
absl::StatusOr<LatencyBound> ParseLatencyBound(absl::string_view text);

// "100B", "100KB", "1.5MB", "2GB" (powers of 1,000), "100KiB", "1MiB", "1GiB"
// (powers of 1,024) or "0.3x"; positive; the case does not matter.
// Errors: InvalidArgument - not of this form.
absl::StatusOr<SizeBound> ParseSizeBound(absl::string_view text);

// "0.02" in [0, 1): the largest loss of accuracy.
// Errors: InvalidArgument - not of this form.
absl::StatusOr<double> ParseDrop(absl::string_view text);

// "0.9" in (0, 1]: the least accuracy; or "-0.01" in (-1, 0]: the change
// against the baseline's, returned negative even for "-0".
// Errors: InvalidArgument - not of this form.
absl::StatusOr<double> ParseMinAccuracy(absl::string_view text);

// "120 us", "1.23 ms": three digits.
std::string FormatLatency(double microseconds);
// "512 B", "78.7 kB", "1.20 MB".
std::string FormatBytes(int64_t bytes);
// "87.0 %".
std::string FormatPercent(double share);
// "0.52x".
std::string FormatRatio(double ratio);
// "5 s", "3 min 20 s", "2 h 5 min".
std::string FormatSeconds(double seconds);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_QUANTITY_H_
