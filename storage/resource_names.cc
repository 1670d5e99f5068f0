#include "storage/resource_names.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/digest.h"
#include "base/status.h"

namespace lathe::storage {
namespace {

// Plain digits only, so that every resource has one name.
bool ParseNumber(absl::string_view text, int64_t* number) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         (text == "0" || text[0] != '0') && absl::SimpleAtoi(text, number);
}

absl::StatusOr<int64_t> ParseName(absl::string_view kind,
                                  absl::string_view collection,
                                  absl::string_view name) {
  absl::string_view rest = name;
  int64_t number = 0;
  if (!absl::ConsumePrefix(&rest, collection) || !ParseNumber(rest, &number)) {
    return NoSuch(kind, name);
  }
  return number;
}

// Ties a token to its list, so that a token of another list, or a made-up one,
// is told from a right one.
std::string TokenCheck(absl::string_view kind, absl::string_view position) {
  return Sha256Hex(absl::StrCat(kind, ":", position)).substr(0, 8);
}

}  // namespace

absl::Status NoSuch(absl::string_view kind, absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("no ", kind, " is named '", name, "'"));
}

std::string JobName(int64_t job) { return absl::StrCat("jobs/", job); }

std::string TrialName(const TrialId& trial) {
  return absl::StrCat("jobs/", trial.job, "/trials/", trial.number);
}

std::string WorkerName(int64_t worker) {
  return absl::StrCat("workers/", worker);
}

absl::StatusOr<int64_t> ParseJobName(absl::string_view name) {
  return ParseName("job", "jobs/", name);
}

absl::StatusOr<int64_t> ParseWorkerName(absl::string_view name) {
  return ParseName("worker", "workers/", name);
}

absl::StatusOr<TrialId> ParseTrialName(absl::string_view name) {
  constexpr absl::string_view kTrials = "/trials/";
  const size_t split = name.find(kTrials);
  TrialId id;
  if (split == absl::string_view::npos ||
      !ParseNumber(name.substr(split + kTrials.size()), &id.number)) {
    return NoSuch("trial", name);
  }
  const absl::StatusOr<int64_t> job = ParseJobName(name.substr(0, split));
  if (!job.ok()) return NoSuch("trial", name);
  id.job = *job;
  return id;
}

std::string MakePageToken(absl::string_view kind, int64_t position) {
  const std::string text = absl::StrCat(position);
  return absl::WebSafeBase64Escape(
      absl::StrCat(text, ".", TokenCheck(kind, text)));
}

absl::StatusOr<int64_t> ParsePageToken(absl::string_view kind,
                                       absl::string_view token, int64_t first) {
  if (token.empty()) return first;
  std::string text;
  int64_t position = 0;
  if (absl::WebSafeBase64Unescape(token, &text)) {
    const size_t dot = text.find('.');
    const std::string number = text.substr(0, dot);
    if (dot != std::string::npos &&
        text.substr(dot + 1) == TokenCheck(kind, number) &&
        ParseNumber(number, &position)) {
      return position;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "page_token '", absl::CHexEscape(token.substr(0, 64)),
      "' is none that this list of ", kind, " gave; start with an empty one"));
}

google::protobuf::Timestamp TimestampOf(int64_t time_us) {
  const absl::Time time = absl::FromUnixMicros(time_us);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      time - absl::FromUnixSeconds(timestamp.seconds()))));
  return timestamp;
}

}  // namespace lathe::storage
