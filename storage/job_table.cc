#include "storage/job_table.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "proto/names.h"
#include "storage/creator_table.h"
#include "storage/event_table.h"
#include "storage/resource_names.h"

namespace lathe::storage {

const char kCountColumns[] =
    "pending, leased, measured, infeasible, failed, quarantined";

namespace {

constexpr absl::string_view kJobsKind = "jobs";
constexpr int kMostPageRows = 1000;

constexpr absl::string_view kJobColumns =
    "id, state, state_reason, create_time_us, end_time_us, spec, profile, ";
constexpr absl::string_view kWithBaseline = "baseline, creator, ";
constexpr absl::string_view kWithoutBaseline = "NULL, creator, ";
enum Column {
  kId,
  kState,
  kReason,
  kCreateTime,
  kEndTime,
  kSpec,
  kProfile,
  kBaseline,
  kCreator,
  kCounts
};

v1::Job JobOf(Statement& row) {
  v1::Job job;
  job.set_name(JobName(row.Int(kId)));
  job.set_state(static_cast<v1::JobState>(row.Int(kState)));
  job.set_state_reason(row.Text(kReason));
  *job.mutable_create_time() = TimestampOf(row.Int(kCreateTime));
  if (!row.IsNull(kEndTime)) {
    *job.mutable_end_time() = TimestampOf(row.Int(kEndTime));
  }
  row.Parse(kSpec, job.mutable_spec());
  if (!row.IsNull(kProfile)) row.Parse(kProfile, job.mutable_profile());
  if (!row.IsNull(kBaseline)) row.Parse(kBaseline, job.mutable_baseline());
  job.set_creator(row.Text(kCreator));
  *job.mutable_counts() = CountsOf(row, kCounts);
  return job;
}

// The job that an earlier call with this request_id made, if any.
absl::StatusOr<std::optional<int64_t>> FindRequest(
    Database& db, absl::string_view request_id, absl::string_view spec_digest) {
  Statement row =
      db.Query("SELECT job, spec_digest FROM idempotency WHERE request_id = ?",
               request_id);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return std::nullopt;
  }
  if (row.Text(1) != spec_digest) {
    return absl::AlreadyExistsError(absl::StrCat(
        "request_id '", request_id, "' was used for a job with another spec (",
        JobName(row.Int(0)), "); choose a new one"));
  }
  return row.Int(0);
}

absl::Status ReferToBlobs(Database& db, int64_t job, const v1::JobSpec& spec) {
  const v1::DatasetSpec& data = spec.dataset();
  for (const std::string& digest :
       {spec.model_digest(), data.digest(), data.calibration_digest(),
        data.search_digest(), data.confirmation_digest(),
        data.report_digest()}) {
    LATHE_RETURN_IF_ERROR(ReferToBlob(db, job, digest));
  }
  return absl::OkStatus();
}

}  // namespace

v1::TrialCounts CountsOf(const Statement& row, int first_column) {
  v1::TrialCounts counts;
  counts.set_pending(row.Int(first_column));
  counts.set_leased(row.Int(first_column + 1));
  counts.set_measured(row.Int(first_column + 2));
  counts.set_infeasible(row.Int(first_column + 3));
  counts.set_failed(row.Int(first_column + 4));
  counts.set_quarantined(row.Int(first_column + 5));
  return counts;
}

std::string ProfileKey(const v1::HardwareProfile& profile) {
  return absl::StrCat(profile.cpu(), "\n", profile.isa(), "\n",
                      profile.onednn());
}

absl::StatusOr<v1::Job> InsertJob(Database& db, const JobCreator& creator,
                                  const v1::JobSpec& spec,
                                  absl::string_view request_id,
                                  absl::Time now) {
  const Blob spec_bytes(spec);
  const std::string spec_digest = Sha256Hex(spec_bytes.bytes);
  if (!request_id.empty()) {
    LATHE_ASSIGN_OR_RETURN(std::optional<int64_t> earlier,
                           FindRequest(db, request_id, spec_digest));
    if (earlier.has_value()) return ReadJob(db, *earlier);
  }
  LATHE_RETURN_IF_ERROR(CheckMayCreate(db, creator));
  const std::string profile_key =
      spec.has_target_profile() ? ProfileKey(spec.target_profile()) : "";
  LATHE_RETURN_IF_ERROR(db.Run(
      "INSERT INTO jobs (state, profile_key, create_time_us, spec, creator) "
      "VALUES (?, ?, ?, ?, ?)",
      int{v1::PENDING}, profile_key, absl::ToUnixMicros(now), spec_bytes,
      creator.name));
  const int64_t job = db.last_insert_id();
  LATHE_RETURN_IF_ERROR(db.Run("INSERT INTO counts (job) VALUES (?)", job));
  if (!request_id.empty()) {
    LATHE_RETURN_IF_ERROR(
        db.Run("INSERT INTO idempotency (request_id, spec_digest, job) "
               "VALUES (?, ?, ?)",
               request_id, spec_digest, job));
  }
  LATHE_RETURN_IF_ERROR(ReferToBlobs(db, job, spec));
  LATHE_RETURN_IF_ERROR(RecordJobChange(db, job, v1::PENDING, "", now));
  return ReadJob(db, job);
}

absl::StatusOr<v1::Job> ReadJob(Database& db, int64_t job) {
  Statement row = db.Query(
      absl::StrCat("SELECT ", kJobColumns, kWithBaseline, kCountColumns,
                   " FROM jobs JOIN counts ON job = id WHERE id = ?"),
      job);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("job", JobName(job));
  }
  v1::Job record = JobOf(row);
  LATHE_RETURN_IF_ERROR(row.status());
  return record;
}

absl::StatusOr<v1::JobSpec> ReadJobSpec(Database& db, int64_t job) {
  Statement row = db.Query("SELECT spec FROM jobs WHERE id = ?", job);
  v1::JobSpec spec;
  const bool is_found = row.Next();
  if (is_found) row.Parse(0, &spec);
  LATHE_RETURN_IF_ERROR(row.status());
  if (!is_found) return NoSuch("job", JobName(job));
  return spec;
}

absl::StatusOr<v1::JobState> ReadJobState(Database& db, int64_t job) {
  LATHE_ASSIGN_OR_RETURN(
      std::optional<int64_t> state,
      db.QueryInt("SELECT state FROM jobs WHERE id = ?", job));
  if (!state.has_value()) return NoSuch("job", JobName(job));
  return static_cast<v1::JobState>(*state);
}

absl::StatusOr<JobProgress> ReadJobProgress(Database& db, int64_t job) {
  Statement row = db.Query(
      absl::StrCat("SELECT state, typeof(baseline) != 'null', ", kCountColumns,
                   " FROM jobs JOIN counts ON job = id WHERE id = ?"),
      job);
  if (!row.Next()) {
    LATHE_RETURN_IF_ERROR(row.status());
    return NoSuch("job", JobName(job));
  }
  JobProgress progress;
  progress.state = static_cast<v1::JobState>(row.Int(0));
  progress.has_baseline = row.Int(1) != 0;
  progress.counts = CountsOf(row, /*first_column=*/2);
  return progress;
}

absl::StatusOr<Page<v1::Job>> ReadJobs(Database& db, int page_size,
                                       absl::string_view page_token) {
  const int rows_wanted = std::clamp(page_size, 1, kMostPageRows);
  LATHE_ASSIGN_OR_RETURN(int64_t before,
                         ParsePageToken(kJobsKind, page_token,
                                        std::numeric_limits<int64_t>::max()));
  Statement rows = db.Query(
      absl::StrCat("SELECT ", kJobColumns, kWithoutBaseline, kCountColumns,
                   " FROM jobs JOIN counts ON job = id WHERE id < ? "
                   "ORDER BY id DESC LIMIT ?"),
      before, rows_wanted + 1);
  Page<v1::Job> page;
  int64_t last_id = 0;
  while (rows.Next()) {
    if (static_cast<int>(page.rows.size()) == rows_wanted) {
      page.next_page_token = MakePageToken(kJobsKind, last_id);
      break;
    }
    last_id = rows.Int(kId);
    page.rows.push_back(JobOf(rows));
  }
  LATHE_RETURN_IF_ERROR(rows.status());
  return page;
}

absl::StatusOr<v1::Job> UpdateJobState(Database& db, int64_t job,
                                       v1::JobState state,
                                       absl::string_view reason,
                                       absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(v1::JobState current, ReadJobState(db, job));
  if (current == state) return ReadJob(db, job);
  if (IsFinal(current)) {
    return absl::FailedPreconditionError(
        absl::StrCat(JobName(job), " has ended (", JobStateName(current),
                     ") and cannot become ", JobStateName(state)));
  }
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE jobs SET state = ?, state_reason = ? WHERE id = ?",
             int{state}, reason, job));
  if (IsFinal(state)) {
    LATHE_RETURN_IF_ERROR(db.Run("UPDATE jobs SET end_time_us = ? WHERE id = ?",
                                 absl::ToUnixMicros(now), job));
  }
  LATHE_RETURN_IF_ERROR(RecordJobChange(db, job, state, reason, now));
  return ReadJob(db, job);
}

absl::Status UpdateBaseline(Database& db, int64_t job,
                            const v1::BaselineReport& baseline,
                            const v1::HardwareProfile& profile) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE jobs SET baseline = ?, profile = ?, profile_key = ? "
             "WHERE id = ? AND baseline IS NULL",
             Blob(baseline), Blob(profile), ProfileKey(profile), job));
  if (db.changes() == 0) return absl::OkStatus();
  return ReferToBlob(db, job, baseline.activation_stats_digest());
}

absl::Status EraseJob(Database& db, int64_t job) {
  LATHE_ASSIGN_OR_RETURN(v1::JobState state, ReadJobState(db, job));
  if (!IsFinal(state)) {
    return absl::FailedPreconditionError(
        absl::StrCat(JobName(job), " has not ended (", JobStateName(state),
                     "); cancel it first"));
  }
  return db.Run("DELETE FROM jobs WHERE id = ?", job);
}

absl::Status ReferToBlob(Database& db, int64_t job, absl::string_view digest) {
  if (digest.empty()) return absl::OkStatus();
  return db.Run("INSERT OR IGNORE INTO blobs (job, digest) VALUES (?, ?)", job,
                digest);
}

absl::StatusOr<std::vector<std::string>> ReadReferencedBlobs(Database& db) {
  Statement rows =
      db.Query("SELECT DISTINCT digest FROM blobs ORDER BY digest");
  std::vector<std::string> digests;
  while (rows.Next()) digests.push_back(rows.Text(0));
  LATHE_RETURN_IF_ERROR(rows.status());
  return digests;
}

}  // namespace lathe::storage
