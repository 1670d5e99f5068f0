#include "client/worker/placement.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace lathe {
namespace {

// A name is for people; see Capabilities.placement for the limit.
constexpr size_t kMostNameBytes = 200;

absl::string_view ValueOf(absl::FunctionRef<const char*(const char*)> variable,
                          const char* name) {
  const char* value = variable(name);
  return value == nullptr ? absl::string_view() : absl::string_view(value);
}

std::string NameOf(absl::FunctionRef<const char*(const char*)> variable) {
  const absl::string_view array = ValueOf(variable, "SLURM_ARRAY_JOB_ID");
  const absl::string_view job = ValueOf(variable, "SLURM_JOB_ID");
  const absl::string_view pod = ValueOf(variable, "LATHE_POD");
  if (!array.empty()) {
    return absl::StrCat("slurm:", array, "_",
                        ValueOf(variable, "SLURM_ARRAY_TASK_ID"));
  }
  if (!job.empty()) return absl::StrCat("slurm:", job);
  return pod.empty() ? "" : absl::StrCat("kubernetes:", pod);
}

// Unset and empty are no end: a partition may have no time limit.
absl::StatusOr<std::optional<absl::Time>> EndOf(
    absl::FunctionRef<const char*(const char*)> variable) {
  for (const char* name : {"LATHE_END_TIME", "SLURM_JOB_END_TIME"}) {
    const absl::string_view text = ValueOf(variable, name);
    if (text.empty()) continue;
    int64_t seconds = 0;
    if (!absl::SimpleAtoi(text, &seconds) || seconds <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " = \"", text.substr(0, 80),
                       "\", not a number of seconds since 1970"));
    }
    return absl::FromUnixSeconds(seconds);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Placement> ReadPlacement(
    absl::FunctionRef<const char*(const char*)> variable) {
  Placement placement;
  placement.name = NameOf(variable).substr(0, kMostNameBytes);
  LATHE_ASSIGN_OR_RETURN(placement.end, EndOf(variable));
  return placement;
}

}  // namespace lathe
