// Why a job does not advance, in words.
#ifndef LATHE_SERVER_JOB_EXPLANATION_H_
#define LATHE_SERVER_JOB_EXPLANATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/artifact.pb.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

// What a search loop is at.
struct SearchLoopStatus {
  // Since when its agent thinks or is replayed (SteadyNow's); none: it does
  // not.
  std::optional<absl::Time> thinking_since;
  // Of its last step that failed and was not yet repeated with success.
  std::string error;
};

// Everything that decides whether a job advances.
struct JobCircumstances {
  v1::Job job;
  // Unset before it is added.
  std::optional<v1::Trial> baseline;
  std::vector<v1::WorkerInfo> workers;
  SearchLoopStatus loop;
  // An older job whose pending trials the same workers take first.
  std::string job_ahead;
  // Leased trials of all jobs of the job's creator, and how many may be; 0: any
  // number.
  int64_t creators_running = 0;
  int64_t most_running_trials = 0;
  // The job's leased trials by stage; "" where their workers have not told.
  std::map<std::string, int> stages;
  absl::Time now;  // SteadyNow's.
};

v1::JobExplanation ExplainCircumstances(const JobCircumstances& circumstances);

// Reads what the store knows of the circumstances; the caller adds the rest.
// Errors: NotFound (JOB_NOT_FOUND).
absl::StatusOr<JobCircumstances> ReadCircumstances(absl::string_view job,
                                                   Store& store);

}  // namespace lathe

#endif  // LATHE_SERVER_JOB_EXPLANATION_H_
