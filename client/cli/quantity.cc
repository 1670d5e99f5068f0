#include "client/cli/quantity.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace lathe {
namespace {

// Changes against the baseline below one sample in a trillion are none.
constexpr double kSmallestDrop = 1e-12;

struct Unit {
  absl::string_view suffix;
  double factor;
};

// The first that fits is taken: longer suffixes come before those they end in.
constexpr Unit kLatencyUnits[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
constexpr Unit kSizeUnits[] = {
    {"kib", 1024.}, {"mib", 1024. * 1024}, {"gib", 1024. * 1024 * 1024},
    {"kb", 1e3},    {"mb", 1e6},           {"gb", 1e9},
    {"b", 1}};

// Digits, a point, an exponent: what SimpleAtod takes without its names of
// numbers ("inf", "nan") and hexadecimal forms.
bool LooksLikeNumber(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c) && !absl::StrContains(".eE+-", c)) return false;
  }
  return absl::ascii_isdigit(text.front()) || text.front() == '.';
}

// The number before `suffix`; false when `text` is not of that form or the
// number is not positive and finite.
bool ParseBefore(absl::string_view text, absl::string_view suffix,
                 double& value) {
  if (!absl::EndsWith(text, suffix)) return false;
  text.remove_suffix(suffix.size());
  return LooksLikeNumber(text) && absl::SimpleAtod(text, &value) &&
         std::isfinite(value) && value > 0;
}

bool ParseWithUnit(absl::string_view text, absl::Span<const Unit> units,
                   double& value) {
  for (const Unit& unit : units) {
    if (!ParseBefore(text, unit.suffix, value)) continue;
    value *= unit.factor;
    return std::isfinite(value);
  }
  return false;
}

}  // namespace

absl::StatusOr<LatencyBound> ParseLatencyBound(absl::string_view text) {
  double value = 0;
  if (ParseBefore(text, "x", value)) return BaselineRatio{value};
  if (ParseWithUnit(text, kLatencyUnits, value)) return Microseconds{value};
  return absl::InvalidArgumentError(absl::StrCat(
      "latency = '", text, "', not a positive number with us, ms, s or x ",
      "(share of the baseline's), for instance 0.5ms or 0.5x"));
}

absl::StatusOr<SizeBound> ParseSizeBound(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  double value = 0;
  if (ParseBefore(lower, "x", value)) return BaselineRatio{value};
  const double most =
      static_cast<double>(std::numeric_limits<int64_t>::max()) / 2;
  if (ParseWithUnit(lower, kSizeUnits, value) && value >= 1 && value < most) {
    return Bytes{static_cast<int64_t>(std::llround(value))};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "size = '", text, "', not a positive number with B, KB, MB, GB, KiB, ",
      "MiB, GiB or x (share of the baseline's), for instance 100KB or 0.3x"));
}

absl::StatusOr<double> ParseDrop(absl::string_view text) {
  double value = 0;
  if (LooksLikeNumber(text) && absl::SimpleAtod(text, &value) && value >= 0 &&
      value < 1) {
    return value;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("drop = '", text, "', not a number in [0, 1)"));
}

absl::StatusOr<double> ParseMinAccuracy(absl::string_view text) {
  const bool is_change = absl::StartsWith(text, "-");
  const absl::string_view digits = is_change ? text.substr(1) : text;
  double value = 0;
  const bool is_number =
      LooksLikeNumber(digits) && absl::SimpleAtod(digits, &value);
  if (is_number && is_change && value < 1) {
    return -std::max(value, kSmallestDrop);
  }
  if (is_number && !is_change && value > 0 && value <= 1) return value;
  return absl::InvalidArgumentError(absl::StrCat(
      "accuracy = '", text, "', neither a number in (0, 1] nor a change ",
      "against the baseline's in (-1, 0], for instance -0.01"));
}

std::string FormatLatency(double microseconds) {
  if (microseconds < 1000) return absl::StrFormat("%.3g us", microseconds);
  if (microseconds < 1e6) {
    return absl::StrFormat("%.3g ms", microseconds / 1e3);
  }
  return absl::StrFormat("%.2f s", microseconds / 1e6);
}

std::string FormatBytes(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value < 1e3) return absl::StrCat(bytes, " B");
  if (value < 1e6) return absl::StrFormat("%.1f kB", value / 1e3);
  if (value < 1e9) return absl::StrFormat("%.2f MB", value / 1e6);
  return absl::StrFormat("%.2f GB", value / 1e9);
}

std::string FormatPercent(double share) {
  return absl::StrFormat("%.2f %%", share * 100);
}

std::string FormatRatio(double ratio) {
  return absl::StrFormat("%.3fx", ratio);
}

std::string FormatSeconds(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return absl::StrCat(whole, " s");
  if (whole < 3600) return absl::StrCat(whole / 60, " min ", whole % 60, " s");
  return absl::StrCat(whole / 3600, " h ", whole % 3600 / 60, " min");
}

}  // namespace lathe
