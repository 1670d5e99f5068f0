// Rows of jobs. Called inside a transaction; see Store for what each promises.
#ifndef LATHE_STORAGE_JOB_TABLE_H_
#define LATHE_STORAGE_JOB_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/types.pb.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace lathe::storage {

// The count columns in the order in which CountsOf reads them.
extern const char kCountColumns[];
v1::TrialCounts CountsOf(const Statement& row, int first_column);

// What GrantLeases compares of a profile.
std::string ProfileKey(const v1::HardwareProfile& profile);

absl::StatusOr<v1::Job> InsertJob(Database& db, const JobCreator& creator,
                                  const v1::JobSpec& spec,
                                  absl::string_view request_id, absl::Time now);
// Errors: NotFound.
absl::StatusOr<v1::Job> ReadJob(Database& db, int64_t job);
absl::StatusOr<v1::JobSpec> ReadJobSpec(Database& db, int64_t job);
absl::StatusOr<v1::JobState> ReadJobState(Database& db, int64_t job);
absl::StatusOr<JobProgress> ReadJobProgress(Database& db, int64_t job);

absl::StatusOr<Page<v1::Job>> ReadJobs(Database& db, int page_size,
                                       absl::string_view page_token);
absl::StatusOr<v1::Job> UpdateJobState(Database& db, int64_t job,
                                       v1::JobState state,
                                       absl::string_view reason,
                                       absl::Time now);
absl::Status UpdateBaseline(Database& db, int64_t job,
                            const v1::BaselineReport& baseline,
                            const v1::HardwareProfile& profile);
absl::Status EraseJob(Database& db, int64_t job);

// Notes that the job refers to a blob; an empty digest is none.
absl::Status ReferToBlob(Database& db, int64_t job, absl::string_view digest);
absl::StatusOr<std::vector<std::string>> ReadReferencedBlobs(Database& db);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_JOB_TABLE_H_
