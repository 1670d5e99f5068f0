// Counts and events of jobs: every change of a state goes through here.
#ifndef LATHE_STORAGE_EVENT_TABLE_H_
#define LATHE_STORAGE_EVENT_TABLE_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"
#include "storage/resource_names.h"
#include "storage/sqlite.h"

namespace lathe::storage {

// A change of a trial's state. `from` is UNSPECIFIED for a new trial.
struct TrialChange {
  TrialId trial;
  v1::TrialState from = v1::TRIAL_STATE_UNSPECIFIED;
  v1::TrialState to = v1::TRIAL_STATE_UNSPECIFIED;
  absl::string_view reason;
};

// Records changes of trials, of any jobs, within one write: reads the counts of
// each job once, and stores them in Finish. Between the two nobody else may
// change them. Not thread-safe.
class ChangeLog {
 public:
  // `db` must outlive this.
  explicit ChangeLog(Database* db) : db_(*db) {}
  ChangeLog(const ChangeLog&) = delete;
  ChangeLog& operator=(const ChangeLog&) = delete;

  // Moves the job's counts and adds an event; returns its sequence. The row of
  // the trial itself is the caller's to change. Errors: NotFound - the job.
  absl::StatusOr<int64_t> Record(const TrialChange& change, absl::Time now);

  // To be called once, after the last change.
  absl::Status Finish();

 private:
  struct Entry {
    int64_t last_sequence = 0;
    v1::TrialCounts counts;
  };
  absl::StatusOr<Entry*> Find(int64_t job);

  Database& db_;
  std::map<int64_t, Entry> entries_;  // By job.
};

// Adds an event of the job itself.
absl::Status RecordJobChange(Database& db, int64_t job, v1::JobState state,
                             absl::string_view reason, absl::Time now);

// See Store::EventsAfter.
absl::StatusOr<std::vector<v1::Event>> ReadEvents(Database& db, int64_t job,
                                                  int64_t after_sequence,
                                                  int limit);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_EVENT_TABLE_H_
