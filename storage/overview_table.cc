#include "storage/overview_table.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/job_table.h"
#include "storage/resource_names.h"

namespace lathe::storage {
namespace {

// Every query names its index, so that SQLite refuses it rather than read all
// jobs.

absl::StatusOr<std::vector<std::string>> JobNames(Statement rows) {
  std::vector<std::string> names;
  while (rows.Next()) names.push_back(JobName(rows.Int(0)));
  LATHE_RETURN_IF_ERROR(rows.status());
  return names;
}

absl::StatusOr<std::string> ReadProfileKey(Database& db, int64_t job) {
  Statement row = db.Query("SELECT profile_key FROM jobs WHERE id = ?", job);
  const bool is_found = row.Next();
  LATHE_RETURN_IF_ERROR(row.status());
  if (!is_found) return NoSuch("job", JobName(job));
  return row.Text(0);
}

}  // namespace

absl::StatusOr<JobTotals> ReadJobTotals(Database& db) {
  JobTotals totals;
  Statement states = db.Query(
      "SELECT state, count(*) FROM jobs INDEXED BY jobs_by_state "
      "GROUP BY state");
  while (states.Next()) {
    totals.jobs[static_cast<v1::JobState>(states.Int(0))] = states.Int(1);
  }
  LATHE_RETURN_IF_ERROR(states.status());
  Statement trials = db.Query(
      "SELECT sum(pending), sum(leased), sum(measured), sum(infeasible), "
      "sum(failed), sum(quarantined) FROM counts");
  if (trials.Next()) totals.trials = CountsOf(trials, /*first_column=*/0);
  LATHE_RETURN_IF_ERROR(trials.status());
  return totals;
}

absl::StatusOr<std::vector<std::string>> ReadActiveJobs(Database& db) {
  return JobNames(
      db.Query("SELECT id FROM jobs INDEXED BY jobs_active "
               "WHERE state IN (1, 2, 3) ORDER BY id"));
}

absl::StatusOr<std::vector<std::string>> ReadJobsEndedBefore(Database& db,
                                                             absl::Time time) {
  return JobNames(
      db.Query("SELECT id FROM jobs INDEXED BY jobs_by_end "
               "WHERE end_time_us < ? ORDER BY id",
               absl::ToUnixMicros(time)));
}

absl::StatusOr<std::optional<std::string>> ReadJobAhead(Database& db,
                                                        int64_t job) {
  LATHE_ASSIGN_OR_RETURN(const std::string profile, ReadProfileKey(db, job));
  // A job whose hardware is not known yet takes any worker.
  LATHE_ASSIGN_OR_RETURN(
      const std::optional<int64_t> ahead,
      db.QueryInt("SELECT j.id FROM jobs j INDEXED BY jobs_leasable "
                  "JOIN counts c ON c.job = j.id "
                  "WHERE j.state IN (1, 2) AND j.id < ? AND c.pending > 0 "
                  "AND (? = '' OR j.profile_key = '' OR j.profile_key = ?) "
                  "ORDER BY j.id LIMIT 1",
                  job, profile, profile));
  if (!ahead.has_value()) return std::nullopt;
  return JobName(*ahead);
}

absl::StatusOr<std::map<std::string, CreatorUse>> ReadUseByCreator(
    Database& db) {
  std::map<std::string, CreatorUse> use;
  Statement jobs = db.Query(
      "SELECT j.creator, count(*), sum(c.leased) FROM jobs j "
      "INDEXED BY jobs_active JOIN counts c ON c.job = j.id "
      "WHERE j.state IN (1, 2, 3) GROUP BY j.creator");
  while (jobs.Next()) {
    CreatorUse& of_creator = use[jobs.Text(0)];
    of_creator.active_jobs = jobs.Int(1);
    of_creator.running_trials = jobs.Int(2);
  }
  LATHE_RETURN_IF_ERROR(jobs.status());
  Statement uploads = db.Query(
      "SELECT creator, sum(bytes) FROM uploads INDEXED BY uploads_by_creator "
      "GROUP BY creator");
  while (uploads.Next()) use[uploads.Text(0)].blob_bytes = uploads.Int(1);
  LATHE_RETURN_IF_ERROR(uploads.status());
  return use;
}

}  // namespace lathe::storage
