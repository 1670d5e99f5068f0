#include "proto/names.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace lathe {

absl::string_view PrecisionName(v1::Precision precision) {
  switch (precision) {
    case v1::F32:
      return "f32";
    case v1::BF16:
      return "bf16";
    case v1::INT8:
      return "int8";
    case v1::INT8_DYNAMIC:
      return "int8-dynamic";
    default:
      return "unspecified";
  }
}

absl::StatusOr<v1::Precision> ParsePrecision(absl::string_view name) {
  for (const v1::Precision precision :
       {v1::F32, v1::BF16, v1::INT8, v1::INT8_DYNAMIC}) {
    if (name == PrecisionName(precision)) return precision;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "precision = '", name, "', not f32, bf16, int8 or int8-dynamic"));
}

absl::string_view JobStateName(v1::JobState state) {
  return absl::StripPrefix(v1::JobState_Name(state), "JOB_");
}

absl::string_view TrialStateName(v1::TrialState state) {
  return absl::StripPrefix(v1::TrialState_Name(state), "TRIAL_");
}

bool IsFinal(v1::JobState state) {
  return state == v1::DONE || state == v1::CANCELLED || state == v1::JOB_FAILED;
}

bool IsFinal(v1::TrialState state) {
  return state == v1::TRIAL_MEASURED || state == v1::TRIAL_INFEASIBLE ||
         state == v1::TRIAL_FAILED || state == v1::TRIAL_QUARANTINED;
}

}  // namespace lathe
