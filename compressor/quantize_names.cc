#include "compressor/quantize_names.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace lathe {
namespace {

absl::StatusOr<double> Number(absl::string_view text, double least,
                              double most) {
  double number = 0;
  if (!absl::SimpleAtod(text, &number) || !(number >= least) ||
      !(number <= most)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is not a number in [", least, ", ", most, "]"));
  }
  return number;
}

}  // namespace

absl::StatusOr<RangeOptions> ParseRangeMethod(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  RangeOptions options;
  if (parts.first == "percentile") {
    options.method = RangeMethod::kPercentile;
    if (!parts.second.empty()) {
      LATHE_ASSIGN_OR_RETURN(options.percentile, Number(parts.second, 1e-9, 1));
    }
    return options;
  }
  if (parts.first == "norm") {
    options.method = RangeMethod::kNorm;
    LATHE_ASSIGN_OR_RETURN(options.norm, Number(parts.second, 1, 8));
    return options;
  }
  static constexpr struct {
    absl::string_view name;
    RangeMethod method;
  } kMethods[] = {{"minmax", RangeMethod::kMinMax},
                  {"average", RangeMethod::kMovingAverage},
                  {"entropy", RangeMethod::kEntropy},
                  {"mse", RangeMethod::kMse},
                  {"loss", RangeMethod::kLossAware}};
  for (const auto& known : kMethods) {
    if (text != known.name) continue;
    options.method = known.method;
    return options;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "range = '", text,
      "', not minmax, average, percentile[:SHARE], entropy, mse, loss or "
      "norm:EXPONENT"));
}

absl::Status SetRepairs(absl::string_view text, CompressOptions* options) {
  const CompressOptions defaults;
  options->weights = defaults.weights;
  options->is_equalized = defaults.is_equalized;
  options->is_smoothed = defaults.is_smoothed;
  if (text == "all") return absl::OkStatus();
  options->weights = NearestWeights();
  options->weights.least_refit_error = 0;
  options->is_equalized = false;
  options->is_smoothed = false;
  if (text == "none") return absl::OkStatus();
  for (const absl::string_view name : absl::StrSplit(text, '+')) {
    if (name == "equalize") {
      options->is_equalized = true;
    } else if (name == "smooth") {
      options->is_smoothed = true;
    } else if (name == "refit") {
      options->weights.refit_share = 1;
    } else if (name == "half-refit") {
      options->weights.refit_share = 0.5;
    } else if (name == "rounding") {
      options->weights.rounding = WeightRounding::kSecondOrder;
    } else if (name == "analytic") {
      options->weights.bias = BiasCorrection::kAnalytic;
    } else if (name == "bias") {
      options->weights.bias = BiasCorrection::kEmpirical;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("repairs = '", text,
                       "', not none, all, or equalize, smooth, refit, "
                       "half-refit, rounding, analytic and bias joined by +"));
    }
  }
  return absl::OkStatus();
}

}  // namespace lathe
