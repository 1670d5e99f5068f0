// Resource names, page tokens and times as the tables hold them.
#ifndef LATHE_STORAGE_RESOURCE_NAMES_H_
#define LATHE_STORAGE_RESOURCE_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace lathe::storage {

// "jobs/{job}/trials/{number}".
struct TrialId {
  int64_t job = 0;
  int64_t number = 0;
};

std::string JobName(int64_t job);
std::string TrialName(const TrialId& trial);
std::string WorkerName(int64_t worker);

// Errors, for a name of any other form too: NotFound - names the name.
absl::StatusOr<int64_t> ParseJobName(absl::string_view name);
absl::StatusOr<TrialId> ParseTrialName(absl::string_view name);
absl::StatusOr<int64_t> ParseWorkerName(absl::string_view name);

absl::Status NoSuch(absl::string_view kind, absl::string_view name);

// A token that says where the next page of the list `kind` begins: opaque to
// clients, refused by every other list.
std::string MakePageToken(absl::string_view kind, int64_t position);
// `first` for the empty token.
// Errors: InvalidArgument - not a token of this list.
absl::StatusOr<int64_t> ParsePageToken(absl::string_view kind,
                                       absl::string_view token, int64_t first);

// Microseconds since 1970 in UTC.
google::protobuf::Timestamp TimestampOf(int64_t time_us);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_RESOURCE_NAMES_H_
