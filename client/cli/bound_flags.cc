#include "client/cli/bound_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "client/cli/exit_code.h"
#include "client/cli/quantity.h"
#include "client/cli/trial_table.h"

namespace lathe {
namespace {

// A negative bound is a change against the baseline's accuracy; a drop of 0
// must stay negative to be one.
constexpr double kNoDrop = 1e-12;

absl::Status SetLatency(const std::string& text,
                        v1::GetBestConfigurationRequest& request) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const LatencyBound bound, ParseLatencyBound(text));
  if (const auto* ratio = std::get_if<BaselineRatio>(&bound)) {
    request.set_max_latency_ratio(ratio->value);
  } else {
    request.set_max_latency_us(std::get<Microseconds>(bound).value);
  }
  return absl::OkStatus();
}

absl::Status SetSize(const std::string& text,
                     v1::GetBestConfigurationRequest& request) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const SizeBound bound, ParseSizeBound(text));
  if (const auto* ratio = std::get_if<BaselineRatio>(&bound)) {
    request.set_max_size_ratio(ratio->value);
  } else {
    request.set_max_size_bytes(std::get<Bytes>(bound).value);
  }
  return absl::OkStatus();
}

absl::Status SetAccuracy(const std::string& text,
                         v1::GetBestConfigurationRequest& request) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const double accuracy, ParseMinAccuracy(text));
  request.set_min_accuracy(accuracy);
  return absl::OkStatus();
}

}  // namespace

void AddBoundFlags(CLI::App& command, BoundFlags& flags) {
  command.add_option("--max-latency", flags.max_latency,
                     "0.8ms, 300us, or 0.5x of the original's");
  command.add_option("--max-size", flags.max_size,
                     "100KB, 1.5MB, or 0.3x of the original's");
  command.add_option("--min-accuracy", flags.min_accuracy,
                     "0.9, or -0.01 against the original's");
  command.add_flag("--confident", flags.is_confident,
                   "the worse ends of the 95 % intervals must do, too");
}

absl::StatusOr<v1::GetBestConfigurationRequest> MakeBestRequest(
    const std::string& job_name, const BoundFlags& flags) {
  v1::GetBestConfigurationRequest request;
  request.set_name(job_name);
  request.set_is_confident(flags.is_confident);
  LATHE_RETURN_IF_ERROR(
      Annotate(SetLatency(flags.max_latency, request), "--max-latency"));
  LATHE_RETURN_IF_ERROR(
      Annotate(SetSize(flags.max_size, request), "--max-size"));
  LATHE_RETURN_IF_ERROR(
      Annotate(SetAccuracy(flags.min_accuracy, request), "--min-accuracy"));
  return request;
}

v1::GetBestConfigurationRequest RequestOfBudget(const std::string& job_name,
                                                const v1::Budget& budget) {
  v1::GetBestConfigurationRequest request;
  request.set_name(job_name);
  if (budget.has_max_latency_us()) {
    request.set_max_latency_us(budget.max_latency_us());
  }
  if (budget.has_max_latency_ratio()) {
    request.set_max_latency_ratio(budget.max_latency_ratio());
  }
  if (budget.has_max_size_bytes()) {
    request.set_max_size_bytes(budget.max_size_bytes());
  }
  if (budget.has_max_size_ratio()) {
    request.set_max_size_ratio(budget.max_size_ratio());
  }
  if (budget.has_max_accuracy_drop()) {
    request.set_min_accuracy(-std::max(budget.max_accuracy_drop(), kNoDrop));
  }
  return request;
}

v1::Budget BudgetOfRequest(const v1::GetBestConfigurationRequest& request) {
  v1::Budget budget;
  if (request.has_max_latency_us()) {
    budget.set_max_latency_us(request.max_latency_us());
  }
  if (request.has_max_latency_ratio()) {
    budget.set_max_latency_ratio(request.max_latency_ratio());
  }
  if (request.has_max_size_bytes()) {
    budget.set_max_size_bytes(request.max_size_bytes());
  }
  if (request.has_max_size_ratio()) {
    budget.set_max_size_ratio(request.max_size_ratio());
  }
  if (request.has_min_accuracy() && request.min_accuracy() < 0) {
    budget.set_max_accuracy_drop(std::min(1.0, -request.min_accuracy()));
  }
  return budget;
}

absl::Status NothingMeetsBounds(const v1::BestConfiguration& best) {
  const std::string misses = DescribeMisses(best);
  return WithExitCode(
      absl::NotFoundError(absl::StrCat(
          "no measured configuration meets the budget",
          misses.empty() ? "" : "\n", absl::StripSuffix(misses, "\n"))),
      kExitNoConfiguration);
}

}  // namespace lathe
